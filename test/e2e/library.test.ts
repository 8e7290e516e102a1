import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readManifest } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import type { CompressOptions } from "../../src/pipeline/compress.ts";
import { compress } from "../../src/pipeline/compress.ts";
import { calibrationFiles, loadRecipe, Recipe } from "../../src/pipeline/recipe.ts";
import type { StepReport } from "../../src/pipeline/run-folder.ts";
import { EXAMPLE, withFolder } from "./command.ts";

/** Exact allocation by matrix, packed on the inputs of the plan's own blocks, guarded; little text. */
async function options(out: string, changes: Partial<CompressOptions> = {}): Promise<CompressOptions> {
  const loaded = await loadRecipe("smoke");
  const calibration = calibrationFiles(loaded).map((file) => ({ ...file, tokens: 512 }));
  const recipe = Recipe.parse({
    ...loaded.recipe,
    score: { scorer: "kl", options: { unit: "matrix", tokens: 64, fitPairs: 2 } },
    plan: {
      allocator: "optimal",
      codecs: ["q3t-g32-s8", "q4t-g32-s8", "q6s-g32-s8"],
      embeddingCodecs: ["q6s-g32-s8", "q8s-g32-s8"],
      // Fewer codecs for some matrices: their library has no others, whatever is measured.
      rules: { "attn.v": ">= 4 bits" },
    },
    quantize: { quantizer: "gptq", requantize: true },
    guard: { tokens: 128 },
  });
  return {
    ...{ checkpoint: EXAMPLE, out, contextTokens: 128, kvType: null, residency: null, budgetCovers: null },
    ...{ budget: "2.8 MiB", executor: "auto", backend: "auto", recipe, calibration },
    ...changes,
  };
}

describe("compress from a library of packed matrices", () => {
  it("ships what diverges less, says both figures, and makes a second device's artifact from what is there", () =>
    withFolder(async (out) => {
      const small = await compress(await options(out, { device: "small" }));
      const manifest = await readManifest(small.artifact ?? "");
      const { guard } = manifest.provenance;
      expect(guard?.tokens).toBe(128);
      expect(guard?.plan.mean).toBeGreaterThan(0);
      expect(guard?.ships).toBe(guard?.uniform && guard.uniform.divergence.mean < guard.plan.mean ? "uniform" : "plan");
      expect(new Set(manifest.plan.units.map(({ codec }) => codec)).size).toBeGreaterThan(1);
      expect(small.scores?.losses?.["blocks.1.attn.v"]).not.toHaveProperty("q3t-g32-s8");
      expect(small.scores?.losses?.["blocks.1.attn.q"]).toHaveProperty("q3t-g32-s8");
      expect(await verifyArtifact(small.artifact ?? "")).toEqual([]);

      const steps: StepReport[] = [];
      const large = await compress(
        await options(out, { device: "large", budget: "2.9 MiB", onStep: (step) => steps.push(step) }),
      );
      const made = steps.filter(({ cached }) => !cached).map(({ name }) => name);
      expect(made).toEqual(["plan-large", "requantized-large", "guard-large", "artifact-large"]);
      expect(large.plan?.memory.fileBytes).toBeGreaterThan(small.plan?.memory.fileBytes ?? 0);
      expect(readFileSync(path.join(out, "artifact-small", "manifest.json"), "utf8")).toContain(
        manifest.manifestSha256,
      );
    }));

  it("keeps library and scores where the guard's text is another", () =>
    withFolder(async (out) => {
      const base = await options(out);
      const cheap = {
        score: { scorer: "cosine" },
        plan: { allocator: "lsaq", codecs: ["q8s-g32", "q4s-g32"] },
        quantize: { quantizer: "weighted", requantize: false },
      };
      const given = { ...base, recipe: Recipe.parse({ ...base.recipe, ...cheap }) };
      const first = await readManifest((await compress(given)).artifact ?? "");
      const steps: StepReport[] = [];
      const recipe = Recipe.parse({ ...given.recipe, guard: { tokens: 192 } });
      const again = await compress({ ...given, recipe, onStep: (step) => steps.push(step) });
      const made = steps.filter(({ cached }) => !cached).map(({ name }) => name);
      expect(made).toEqual(["calibration", "guard", "artifact"]);
      const { provenance } = await readManifest(again.artifact ?? "");
      expect(provenance.guard?.tokens).toBe(192);
      expect(provenance.calibrationId).toBe(first.provenance.calibrationId);
    }));

  it("refuses probes that the library will not have, before anything is packed", () =>
    withFolder(async (out) => {
      const made = await options(out);
      const score = { scorer: "kl" as const, options: { unit: "matrix", embeddingProbes: ["q3t-g32-s8"] } };
      const refused = compress({ ...made, recipe: { ...made.recipe, score } });
      await expect(refused).rejects.toMatchObject({
        code: "SCORER_OPTIONS",
        message:
          "score.options.embeddingProbes: expected codecs that the plan may use (q8s-g32-s8, q6s-g32-s8), found q3t-g32-s8",
      });
    }));

  it("makes the same bytes again where matrices of the library are gone", () =>
    withFolder(async (out) => {
      const first = await readManifest((await compress(await options(out))).artifact ?? "");
      for (const name of ["library", "artifact"]) rmSync(path.join(out, name), { recursive: true });
      const steps: StepReport[] = [];
      const again = await compress(await options(out, { onStep: (step) => steps.push(step) }));
      expect((await readManifest(again.artifact ?? "")).manifestSha256).toBe(first.manifestSha256);
      const notes = new Map(steps.map(({ name, note }) => [name, note]));
      expect(notes.get("library")).toMatch(/is not there any more/);
    }));
});
