/** The offline entry point: the whole pipeline, its stages, and what is needed to measure plans. */
export { buildCalibration } from "./calibration/build.ts";
export type { InputStatistics } from "./calibration/gram-sum.ts";
export {
  type BlockStatistics,
  diagonalOf,
  openStatisticsDescent,
  type StatisticsDescent,
  type StatisticsOptions,
} from "./calibration/statistics.ts";
export { type EvaluationTimings, evaluate, evaluateAll } from "./evaluation/evaluate.ts";
export { EvaluationResult } from "./evaluation/evaluation-result.ts";
export { findOverlap, type Overlap } from "./evaluation/overlap.ts";
export { rankCorrelation } from "./evaluation/rank-correlation.ts";
export {
  collectReferenceStates,
  headOnly,
  type ReferenceStates,
  savedReferenceStates,
} from "./evaluation/reference-states.ts";
export { cutWindows } from "./evaluation/windows.ts";
export { evaluateTasks } from "./evaluation/zero-shot/evaluate-tasks.ts";
export { parseTaskNames, readTasks } from "./evaluation/zero-shot/read-tasks.ts";
export { ZeroShotResult } from "./evaluation/zero-shot/zero-shot-result.ts";
export { openMaths } from "./maths/open-maths.ts";
export { openCheckpoint } from "./model/checkpoint.ts";
export { loadTokenizer } from "./model/tokenizer.ts";
export * from "./pipeline/compress.ts";
export type { CompressResult } from "./pipeline/compress-result.ts";
export { ExitSettings, exitShapeOf } from "./pipeline/exit-settings.ts";
export { type ExitsOfArtifact, type ExitsRequest, exitsOfArtifact } from "./pipeline/exits-of-artifact.ts";
export { planRequest, storedDtypeOf } from "./pipeline/plan-request.ts";
export { calibrationFiles, type LoadedRecipe, loadRecipe, Recipe } from "./pipeline/recipe.ts";
export { openRunFolder, type RunFolder } from "./pipeline/run-folder.ts";
export * from "./pipeline/run-options.ts";
export * from "./plan-entry.ts";
export { QUANTIZERS } from "./quantization/index.ts";
export { type BuildLibraryOptions, buildLibrary } from "./quantization/library/build-library.ts";
export { type LibraryKey, MatrixLibrary } from "./quantization/library/matrix-library.ts";
export { packMatrix, packWith, quantizedOverlay } from "./quantization/overlay.ts";
export { type Packer, packerOf } from "./quantization/packer.ts";
export { prepareInput, type QuantizerInput } from "./quantization/quantizer-input.ts";
export { createExecutor, type ExecutorOptions } from "./runtime/create-executor.ts";
export { SCORERS } from "./scoring/index.ts";
export { predictionFit, predictLosses } from "./scoring/kl/predict-losses.ts";
export { scoreModel, scoreModels } from "./scoring/score-model.ts";
export { Random } from "./tensor/random.ts";
