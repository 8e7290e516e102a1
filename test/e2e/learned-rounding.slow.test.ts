import { describe, expect, it } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import type { CompressOptions } from "../../src/pipeline/compress.ts";
import { compress } from "../../src/pipeline/compress.ts";
import { calibrationFiles, loadRecipe, Recipe } from "../../src/pipeline/recipe.ts";
import type { StepReport } from "../../src/pipeline/run-folder.ts";
import { EXAMPLE, withFolder } from "./command.ts";

async function options(out: string, changes: Partial<CompressOptions> = {}): Promise<CompressOptions> {
  const loaded = await loadRecipe("smoke");
  const calibration = calibrationFiles(loaded).map((file) => ({ ...file, tokens: 1280 }));
  const recipe = Recipe.parse({
    ...loaded.recipe,
    calibration: { ...loaded.recipe.calibration, sequenceTokens: 256 },
    plan: { ...loaded.recipe.plan, allocator: "uniform", codecs: ["q3t-g32-s8"], embeddingCodecs: ["q8s-g32-s8"] },
    quantize: { quantizer: "learned-rounding", requantize: true, iterations: 16 },
  });
  return {
    ...{ checkpoint: EXAMPLE, out, contextTokens: 128, kvType: null, residency: null, budgetCovers: null },
    ...{ budget: "2.9 MiB", executor: "auto", backend: "auto", recipe, calibration },
    ...changes,
  };
}

describe("compress with learned rounding", () => {
  it("ships the learned matrices and vectors, says how they were learned, and learns nothing twice", () =>
    withFolder(async (out) => {
      const { artifact } = await compress(await options(out));
      const folder = artifact ?? "";
      const opened = await openArtifact(folder);
      const checkpoint = await openCheckpoint(EXAMPLE);
      try {
        const { provenance } = opened.manifest;
        expect(provenance.quantizer).toBe("learned-rounding");
        expect(provenance.learning).toMatchObject({ settings: { iterations: 16 }, seed: 0 });
        const changed = [];
        for (const block of checkpoint.spec.blocks.keys()) {
          const id = `blocks.${block}.mlp.norm.weight`;
          const [own, learned] = [await checkpoint.readVector(id), await opened.readVector(id)];
          changed.push(learned.some((value, i) => value !== own[i]));
        }
        expect(changed).toContain(true);
        expect(await opened.readVector("finalNorm.weight")).toEqual(await checkpoint.readVector("finalNorm.weight"));
      } finally {
        await opened.close();
        await checkpoint.close();
      }
      expect(await verifyArtifact(folder)).toEqual([]);

      const steps: StepReport[] = [];
      await compress(await options(out, { onStep: (step) => steps.push(step) }));
      expect(steps.filter(({ cached }) => !cached)).toEqual([]);
    }));
});
