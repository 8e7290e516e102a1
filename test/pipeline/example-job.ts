import path from "node:path";
import type { Job } from "../../src/pipeline/job.ts";
import { type CheckpointJob, withJob } from "../../src/pipeline/open-job.ts";
import { parseRecipe } from "../../src/pipeline/recipe.ts";
import { calibrationStep } from "../../src/pipeline/steps/calibration.ts";
import { weightsStep } from "../../src/pipeline/steps/weights.ts";

/** What a run of the example checkpoint is asked for, by a recipe's text. */
export function exampleOptions(
  recipe: string,
  changes: Partial<CheckpointJob> & Pick<CheckpointJob, "out">,
): CheckpointJob {
  return {
    ...{ checkpoint: path.resolve("examples/stories260k"), budget: "1 GiB", contextTokens: 128, kvType: null },
    ...{ residency: null, budgetCovers: null, executor: "auto", backend: "auto", threads: 1 },
    ...{ recipe: parseRecipe(recipe, "recipe.yaml"), calibration: [], ...changes },
  };
}

/** Calibration tokens that no file is read for. */
export const TOKENS = { id: "c", tokens: 4, sources: [], sequences: [[1, 2, 3, 4]], heldOut: [[5, 6, 7, 8]] };

/** A job on the example checkpoint whose weights are not read and whose calibration is `TOKENS`. */
export function withExampleJob<T>(options: CheckpointJob, use: (job: Job) => Promise<T>): Promise<T> {
  return withJob(options, { plans: false }, (job) => {
    job.give(weightsStep, { checkpointId: "w", files: [], keyValueBound: 1 });
    job.give(calibrationStep, TOKENS);
    return use(job);
  });
}

const UNIFORM = `
name: x
calibration: { sources: [{ path: a.txt, tokens: 8 }], sequenceTokens: 4 }
plan: { allocator: uniform, codecs: [q8s-g32, q4s-g32], embedding: 8 bits }
`;

/** Uniform plans: of rounded matrices, of a library's, and packed anew and compared. */
export const RECIPES = {
  rounded: UNIFORM,
  byInputs: `${UNIFORM}quantize: { quantizer: weighted }\n`,
  requantized: `${UNIFORM}quantize: { quantizer: weighted, requantize: true }\nguard: { tokens: 4 }\n`,
} as const;
