import type { Maths } from "../maths/maths.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { WorkOptions } from "../progress.ts";
import { isBlockQuantizer } from "../quantization/index.ts";
import type { ExecutorFactory } from "../runtime/executor.ts";
import type { LearnedRounding } from "../training/rounding/learned-rounding.ts";
import type { RunOptions } from "./run-options.ts";

/** What blocks are refined with, as the pass over them has it. */
export interface LearningInputs extends WorkOptions {
  readonly source: WeightSource;
  readonly sequences: readonly Int32Array[];
  readonly createExecutor: ExecutorFactory;
  readonly maths: Maths;
}

/** How the blocks of a plan are refined. */
export interface Learning {
  /** All that the learned bytes depend on beside plan and text. */
  readonly facts: Readonly<Record<string, unknown>>;
  open(inputs: LearningInputs): Promise<LearnedRounding>;
}

/**
 * What the recipe's quantizer does with whole blocks; null where it has matrices only. Gradients are computed on TensorFlow.js whatever the
 * executor is. Throws UserError BACKEND where no backend works.
 */
export async function learningOf({ recipe, backend, threads: wanted }: RunOptions): Promise<Learning | null> {
  if (!isBlockQuantizer(recipe.quantize.quantizer)) return null;
  // Nothing else of a run loads TensorFlow.js where the native executor serves.
  const { LEARNING_DEFAULTS } = await import("../training/rounding/learning-settings.ts");
  const { openLearnedRounding } = await import("../training/rounding/learned-rounding.ts");
  const { openTrainingBackend } = await import("../runtime/tfjs/training-backend.ts");
  const training = { backend, threads: wanted };
  const { backend: used, version, threads } = await openTrainingBackend(training);
  const { iterations = LEARNING_DEFAULTS.iterations } = recipe.quantize;
  const settings = { ...LEARNING_DEFAULTS, iterations };
  const { seed } = recipe;
  return {
    facts: { settings, seed, backend: used, version, threads },
    open: (inputs) => openLearnedRounding({ ...inputs, ...training, settings, seed }),
  };
}
