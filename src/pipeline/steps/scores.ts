import { codecIdOf } from "../../codecs/index.ts";
import { allocatorOf } from "../../planning/allocators/index.ts";
import { nearestCandidate } from "../../planning/problem/assign-blocks.ts";
import { codecsToScore, outerCodecsToScore } from "../../planning/problem/matrices.ts";
import { withinRules } from "../../planning/problem/rules.ts";
import { matrixQuantizerOf } from "../../quantization/index.ts";
import { packWith } from "../../quantization/overlay.ts";
import { exactCodecs } from "../../scoring/exact-codecs.ts";
import { SCORERS } from "../../scoring/index.ts";
import { type CodecMatrices, roundedMatrices } from "../../scoring/rounded-source.ts";
import { scoreModel } from "../../scoring/score-model.ts";
import { Scores } from "../../scoring/scores.ts";
import type { Job, Step } from "../job.ts";
import { openKeptLosses } from "../kept-losses.ts";
import { plannedModelOf, type WorkModel } from "../model.ts";
import { libraryOf } from "../packing.ts";
import { needsScores, usesLibrary } from "../recipe.ts";
import { calibrationStep, restoreCalibration } from "./calibration.ts";
import { libraryStep } from "./library.ts";

/** Measures how much each block or matrix matters: the recipe's scorer over the calibration tokens. */
export const scoresStep: Step<Scores> = {
  name: "scores",
  schema: Scores,
  wanted: needsScores,

  /** Codecs and quantizer count only where losses are measured with them. */
  async inputs(job) {
    const model = await job.once(plannedModelOf);
    await job.get(calibrationStep);
    const { recipe, origin } = job;
    const { scorer, options } = recipe.score;
    // A library has a matrix only at the codecs that rules leave it: measured is what stands in for the others.
    const rules = usesLibrary(recipe) ? { rules: recipe.plan.rules } : {};
    const measured = { ...codecsOf(model), quantizer: matrixQuantizerOf(recipe.quantize.quantizer), ...rules };
    return { executor: origin.executor, scorer, options, measured: SCORERS[scorer].predictsLoss ? measured : null };
  },

  /** What is measured is kept, and a stopped run continues from there. */
  async compute(job, to) {
    const model = await job.once(plannedModelOf);
    const { source, id: checkpointId, matrices } = model;
    const calibration = restoreCalibration((await job.get(calibrationStep)).value);
    const exact = exactCodecs({ spec: source.spec, storedDtype: model.storedDtype }, codecsOf(model));
    const matricesAt = await codecMatrices(job);
    const kept = await openKeptLosses(to);
    const { recipe, onProgress, signal } = job.options;
    const scores = await scoreModel({
      ...{ source, checkpointId, calibration, ...exact.lossy, ...recipe.score },
      ...{ createExecutor: job.executors, matrices: matricesAt, kept, onProgress, signal },
    }).finally(kept.settled);
    const isByMatrix = usesLibrary(recipe) && allocatorOf(recipe.plan).grain.name === "matrix";
    const own = isByMatrix ? withinRules(scores, matrices) : scores;
    return { ...own, losses: own.losses && exact.withZeros(own.losses) };
  },
};

/** The codecs that losses are wanted for. */
function codecsOf({ matrices }: WorkModel) {
  return { codecs: codecsToScore(matrices), embeddingCodecs: outerCodecsToScore(matrices) };
}

/**
 * What the codecs make of the matrices: the library's, or rounded where they are needed. A matrix that may not have a
 * codec by the recipe's rules is not in the library at that codec: it takes the one that a plan of that codec would
 * give it.
 */
async function codecMatrices(job: Job): Promise<CodecMatrices> {
  const { source, matrices } = await job.once(plannedModelOf);
  const { maths } = job.origin;
  if (!(await job.ask(libraryStep))) {
    const quantizer = matrixQuantizerOf(job.recipe.quantize.quantizer);
    return roundedMatrices(source, (codec) => packWith(maths, codec, quantizer));
  }
  const library = await job.once(libraryOf);
  const byId = new Map(matrices.map((matrix) => [matrix.id, matrix]));
  const allowed = (id: string, codec: string) => {
    const matrix = byId.get(id);
    return matrix ? nearestCandidate(matrix, codecIdOf(codec)) : codec;
  };
  return {
    at: (id, codec) => library.matrixAt(id, allowed(id, codec)),
    errorOf: (id, codec) => library.errorOf(id, allowed(id, codec)),
  };
}
