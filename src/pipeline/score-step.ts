import path from "node:path";
import { z } from "zod";
import type { CodecId } from "../codecs/index.ts";
import { readJsonFile, writeFileAtomic } from "../formats/files.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import { type DecoderSpec, matricesOf } from "../model/decoder-spec.ts";
import type { NativeEngine } from "../native/addon.ts";
import { ALLOCATORS } from "../planning/allocators/index.ts";
import { codecsToScore, outerCodecsToScore, unitsOf } from "../planning/units.ts";
import type { WorkOptions } from "../progress.ts";
import { matrixQuantizerOf } from "../quantization/index.ts";
import type { MatrixLibrary } from "../quantization/library/matrix-library.ts";
import { packWith } from "../quantization/overlay.ts";
import type { ExecutorKind } from "../runtime/executor-info.ts";
import { SCORERS } from "../scoring/index.ts";
import { scoreModel } from "../scoring/score-model.ts";
import type { Losses, Scores } from "../scoring/scores.ts";
import { TOOL_VERSION } from "../version.ts";
import { type CalibrationStep, restoreCalibration } from "./calibration-step.ts";
import type { RunOptions } from "./compress-options.ts";
import { streamedExecutors } from "./executors.ts";
import { measuredBefore } from "./measured-losses.ts";
import type { RunRequest } from "./plan-step.ts";
import type { Recipe } from "./recipe.ts";
import type { StepWork } from "./run-folder.ts";
import { readableJson } from "./step-key.ts";

/** Whether the recipe's allocator ranks blocks at all. */
export function needsScores(recipe: Recipe): boolean {
  return ALLOCATORS[recipe.plan.allocator].needsScores;
}

/** What scores depend on; codecs and quantizer count only where losses are measured with them. */
export function scoreInputs(
  source: string,
  calibrationKey: string,
  request: RunRequest,
  { recipe, executor }: { recipe: Recipe; executor: ExecutorKind },
): unknown {
  const { scorer, options } = recipe.score;
  const measured = { ...candidates(request), quantizer: matrixQuantizerOf(recipe.quantize.quantizer) };
  return {
    source,
    calibrationKey,
    executor,
    scorer,
    options,
    measured: SCORERS[scorer].predictsLoss ? measured : null,
    toolVersion: TOOL_VERSION,
  };
}

/** What scoring is given. */
export interface ScoreWork {
  /** Names the checkpoint's contents. */
  readonly source: string;
  readonly calibration: CalibrationStep;
  readonly request: RunRequest;
  readonly options: RunOptions & WorkOptions;
  readonly step: StepWork;
  /** What the scores depend on, and the run folder whose earlier scores may hold some of them already. */
  readonly inputs: unknown;
  readonly runFolder: string;
  /** Packs the candidates; null: TypeScript, with the same bytes. */
  readonly engine: NativeEngine | null;
  /** Has the candidates, where the quantizer needs more than the weights. */
  readonly library: MatrixLibrary | null;
}

/** Runs the recipe's scorer over the calibration tokens; kl keeps what is measured and continues from there. */
export async function scoreCheckpoint(checkpoint: Checkpoint, work: ScoreWork): Promise<Scores> {
  const { request, step } = work;
  const { recipe, onProgress, signal } = work.options;
  const partial = await openPartial(step);
  const earlier = await measuredBefore(work.runFolder, work.inputs);
  const { codecs, embeddingCodecs } = candidates(request);
  const isExact = exactCodecs(checkpoint);
  const { blocks: unitsOfBlocks, outer } = scoredUnits(checkpoint.spec);
  const lossy = (ids: readonly CodecId[], units: readonly string[]) =>
    ids.filter((codec) => !units.every((unit) => isExact(unit, codec)));
  const scores = await scoreModel({
    source: checkpoint,
    checkpointId: work.source,
    calibration: restoreCalibration(work.calibration),
    codecs: lossy(codecs, unitsOfBlocks),
    embeddingCodecs: lossy(embeddingCodecs, outer),
    ...recipe.score,
    createExecutor: streamedExecutors(work.options),
    ...candidateMatrices(work),
    saved: mergeLosses(earlier, partial.saved ?? {}),
    onPartial: partial.keep,
    onProgress,
    signal,
  }).finally(partial.settled);
  const zeros = (unit: string) =>
    (unit.startsWith("blocks.") ? codecs : embeddingCodecs)
      .filter((codec) => isExact(unit, codec))
      .map((codec): [string, number] => [codec, 0]);
  return { ...scores, losses: scores.losses && withZeros(scores.losses, zeros) };
}

/** What the codecs make of the matrices: the library's, or rounded where they are needed. */
function candidateMatrices({ library, options, engine }: ScoreWork) {
  const quantizer = matrixQuantizerOf(options.recipe.quantize.quantizer);
  if (!library) return { rounding: (codec: string) => packWith(codec, quantizer, engine) };
  return {
    rounding: (codec: string) => (id: string) => library.matrixAt(id, codec),
    matrixAt: (id: string, codec: string) => library.matrixAt(id, codec),
    errorOf: (id: string, codec: string) => library.errorOf(id, codec),
  };
}

function mergeLosses(earlier: Losses, later: Losses): Losses {
  const units = new Set([...Object.keys(earlier), ...Object.keys(later)]);
  return Object.fromEntries([...units].map((unit) => [unit, { ...earlier[unit], ...later[unit] }]));
}

/** Units that losses are measured for: `blocks.<i>`; and embedding and output head. */
function scoredUnits(spec: DecoderSpec): { blocks: string[]; outer: string[] } {
  const blocks = spec.blocks.map((_, block) => `blocks.${block}`);
  return { blocks, outer: spec.tied ? ["embedding"] : ["embedding", "head"] };
}

/** Whether a codec holds a unit's stored weights exactly, so that its loss is 0 and need not be measured. */
function exactCodecs(checkpoint: Checkpoint): (unit: string, codec: CodecId) => boolean {
  const matrices = matricesOf(checkpoint.spec);
  return (unit, codec) =>
    codec === "f32" ||
    matrices
      .filter(({ id }) => id === unit || id.startsWith(`${unit}.`))
      .every(({ id }) => checkpoint.storedDtype(id).toLowerCase() === codec);
}

function withZeros(losses: Losses, zeros: (unit: string) => [string, number][]): Losses {
  return Object.fromEntries(
    Object.entries(losses).map(([unit, byCodec]) => [unit, { ...byCodec, ...Object.fromEntries(zeros(unit)) }]),
  );
}

function candidates(request: RunRequest): { codecs: CodecId[]; embeddingCodecs: CodecId[] } {
  const units = unitsOf(request.spec, request.recipe.plan, request.storedDtype);
  return { codecs: codecsToScore(units), embeddingCodecs: outerCodecsToScore(units) };
}

const PartialLosses = z.record(z.string(), z.record(z.string(), z.number()));

/** Losses measured so far, in the step's scratch folder. `keep` throws where an earlier one could not be written. */
async function openPartial(step: StepWork) {
  const file = path.join(await step.scratch(), "losses.json");
  const saved = await readJsonFile(file, PartialLosses).catch(() => undefined);
  let writing: Promise<void> = Promise.resolve();
  let failure: { readonly error: unknown } | null = null;
  return {
    saved,
    keep: (losses: Losses): void => {
      if (failure) throw failure.error;
      const text = readableJson(losses);
      const write = () => writeFileAtomic(file, text);
      // Nobody waits for it while scoring goes on: a rejection left alone would end the process.
      writing = writing.then(write).catch((error: unknown) => {
        failure ??= { error };
      });
    },
    settled: () => writing,
  };
}
