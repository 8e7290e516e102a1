import path from "node:path";
import { describe, expect, it } from "vitest";
import {
  SEPARATE_NEOX,
  separateNeox,
  writePhi3Layout,
  writeSeparateNeox,
} from "../../scripts/results/layout-twins.mjs";
import type { Manifest } from "../../src/artifact/manifest.ts";
import { readManifest } from "../../src/artifact/reader.ts";
import * as formats from "../../src/formats/safetensors/index.ts";
import { ARCHITECTURES } from "../../src/model/architectures/index.ts";
import { compress } from "../../src/pipeline/compress.ts";
import { calibrationFiles, loadRecipe, Recipe } from "../../src/pipeline/recipe.ts";
import { NEOX } from "../support/fixtures.ts";
import { EXAMPLE, withFolder } from "./command.ts";

/** Compresses with every stage that looks at weights by matrix, on as little text as that takes. */
async function shipped(checkpoint: string, out: string, budget: string): Promise<Manifest> {
  const loaded = await loadRecipe("smoke");
  const codecs = ["q3t-g32-s8", "q4t-g32-s8"];
  const recipe = Recipe.parse({
    ...loaded.recipe,
    score: { scorer: "kl", options: { unit: "matrix", tokens: 16, probes: ["q3t-g32-s8"], fitPairs: 0 } },
    plan: { allocator: "optimal", codecs, embeddingCodecs: ["q4t-g32-s8", "q6s-g32-s8"] },
    quantize: { quantizer: "gptq", requantize: true },
    guard: { tokens: 64 },
  });
  const { artifact } = await compress({
    ...{ checkpoint, out, budget, recipe, contextTokens: 64, kvType: null, residency: null, budgetCovers: null },
    ...{ executor: "auto", backend: "auto", threads: 1 },
    calibration: calibrationFiles(loaded).map((file) => ({ ...file, tokens: 64 })),
  });
  return readManifest(artifact ?? "");
}

/** All of a manifest that the layout of the source has no part in. */
function contents({ spec, plan, files, tensors, provenance }: Manifest) {
  const weights = files.filter(({ name }) => name.endsWith(".safetensors"));
  return { spec: { ...spec, family: "any" }, plan, weights, tensors, guard: provenance.guard };
}

describe("a checkpoint with fused tensors", { timeout: 120_000 }, () => {
  it("gives the same artifact in Phi-3's layout as in Llama's, to the byte", () =>
    withFolder(async (folder) => {
      const twin = path.join(folder, "phi3");
      await writePhi3Layout(formats, EXAMPLE, twin);
      const llama = await shipped(EXAMPLE, path.join(folder, "a"), "2.55 MiB");
      const phi3 = await shipped(twin, path.join(folder, "b"), "2.55 MiB");
      expect([llama.spec.family, phi3.spec.family]).toEqual(["llama", "phi3"]);
      expect(new Set(llama.plan.units.map(({ codec }) => codec)).size).toBeGreaterThan(1);
      expect(contents(phi3)).toEqual(contents(llama));
    }));

  it("gives the same artifact with GPT-NeoX's q, k and v apart", () =>
    withFolder(async (folder) => {
      const twin = path.join(folder, "separate");
      await writeSeparateNeox(formats, NEOX, twin);
      Object.assign(ARCHITECTURES, { [SEPARATE_NEOX]: separateNeox(ARCHITECTURES.gpt_neox) });
      const fused = await shipped(NEOX, path.join(folder, "a"), "4.2 MiB");
      const separate = await shipped(twin, path.join(folder, "b"), "4.2 MiB");
      expect([fused.spec.family, separate.spec.family]).toEqual(["gpt_neox", SEPARATE_NEOX]);
      expect(new Set(fused.plan.units.map(({ codec }) => codec)).size).toBeGreaterThan(1);
      expect(contents(separate)).toEqual(contents(fused));
    }));
});
