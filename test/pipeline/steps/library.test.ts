import { rmSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Job } from "../../../src/pipeline/job.ts";
import { plannedModelOf } from "../../../src/pipeline/model.ts";
import { packedPlan } from "../../../src/pipeline/packed-plan.ts";
import { libraryOf } from "../../../src/pipeline/packing.ts";
import { shippedPlan } from "../../../src/pipeline/shipped.ts";
import { libraryStep } from "../../../src/pipeline/steps/library.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { exampleOptions, RECIPES, withExampleJob } from "../example-job.ts";

const base = temporaryFolder();

/** A job by that recipe; all share one library. */
const withRecipe = <T>(recipe: string, use: (job: Job) => Promise<T>) =>
  withExampleJob(exampleOptions(recipe, { out: path.join(base, "run") }), use);

describe("step library", () => {
  it("packs each matrix at each codec that a plan may give it, and again what is missing", () =>
    withRecipe(RECIPES.byInputs, async (job) => {
      const { value } = await job.get(libraryStep);
      const { matrices, source } = await job.once(plannedModelOf);
      const blocks = matrices.filter(({ block }) => block !== null).length;
      expect(Object.fromEntries(value.codecs.map(({ codec, matrices }) => [codec, matrices]))).toEqual({
        "q8s-g32": matrices.length,
        "q4s-g32": blocks,
      });
      expect(await libraryStep.check?.(job, value)).toBeNull();
      const library = await job.once(libraryOf);
      const { rows, cols } = await library.matrixAt("blocks.0.attn.q", "q4s-g32");
      expect([rows, cols]).toEqual([source.spec.hiddenSize, source.spec.hiddenSize]);
      rmSync(library.folder, { recursive: true });
      expect(await libraryStep.check?.(job, value)).toMatch(/is not there any more/);
    }));

  it("is not wanted where the quantizer looks at weights alone", () =>
    withRecipe(RECIPES.rounded, async (job) => {
      expect(await job.ask(libraryStep)).toBeNull();
      expect(await job.once(packedPlan)).toMatchObject({ packed: null, learning: null });
      expect(await job.once(shippedPlan)).toMatchObject({ packed: null, guard: null, learning: null });
    }));
});
