import path from "node:path";
import { z } from "zod";
import { type CodecId, codecIdOf } from "../codecs/index.ts";
import { UserError } from "../errors.ts";
import { readJsonFile, writeFileAtomic } from "../formats/files.ts";
import type { Maths } from "../maths/maths.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import { type DecoderSpec, matricesOf } from "../model/decoder-spec.ts";
import { blockName, blockOf, isInUnit } from "../model/matrix-id.ts";
import { nearestCandidate } from "../planning/problem/assign-blocks.ts";
import { ALLOCATORS } from "../planning/allocators/index.ts";
import { codecsToScore, outerCodecsToScore, type Unit, unitsOf } from "../planning/problem/matrices.ts";
import type { WorkOptions } from "../progress.ts";
import { matrixQuantizerOf } from "../quantization/index.ts";
import type { MatrixLibrary } from "../quantization/library/matrix-library.ts";
import { packWith } from "../quantization/overlay.ts";
import type { ExecutorKind } from "../runtime/executors.ts";
import { SCORERS } from "../scoring/index.ts";
import { KlOptions } from "../scoring/kl/options.ts";
import { scoreModel } from "../scoring/score-model.ts";
import type { Losses, Scores } from "../scoring/scores.ts";
import { TOOL_VERSION } from "../version.ts";
import { type CalibrationStep, restoreCalibration } from "./calibration-step.ts";
import { streamedExecutors } from "./executors.ts";
import { usesLibrary } from "./library-step.ts";
import { measuredBefore } from "./measured-losses.ts";
import type { RunRequest } from "./plan-step.ts";
import type { Recipe } from "./recipe.ts";
import type { StepWork } from "./run-folder.ts";
import type { RunOptions } from "./run-options.ts";
import { readableJson } from "./step-key.ts";

/** Whether the recipe's allocator ranks blocks at all. */
export function needsScores(recipe: Recipe): boolean {
  return ALLOCATORS[recipe.plan.allocator].needsScores;
}

/** What scores depend on; codecs and quantizer count only where losses are measured with them. */
export function scoreInputs(
  source: string,
  calibrationId: string,
  request: RunRequest,
  { recipe, executor }: { recipe: Recipe; executor: ExecutorKind },
): unknown {
  const { scorer, options } = recipe.score;
  // A library has a matrix only at the codecs that rules leave it: measured is what stands in for the others.
  const rules = usesLibrary(recipe) ? { rules: recipe.plan.rules } : {};
  const measured = { ...candidates(request), quantizer: matrixQuantizerOf(recipe.quantize.quantizer), ...rules };
  return {
    source,
    calibrationId,
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
  /** Packs the candidates; the bytes do not depend on which. */
  readonly maths: Maths;
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
    (blockOf(unit) !== null ? codecs : embeddingCodecs)
      .filter((codec) => isExact(unit, codec))
      .map((codec): [string, number] => [codec, 0]);
  const own = work.library ? withinRules(scores, request) : scores;
  return { ...own, losses: own.losses && withZeros(own.losses, zeros) };
}

/**
 * What the codecs make of the matrices: the library's, or rounded where they are needed. A matrix that may not have a codec by the recipe's
 * rules is not in the library at that codec: it takes the one that a plan of that codec would give it.
 */
function candidateMatrices({ library, options, maths, request }: ScoreWork) {
  const quantizer = matrixQuantizerOf(options.recipe.quantize.quantizer);
  if (!library) return { rounding: (codec: string) => packWith(maths, codec, quantizer) };
  const units = new Map(planUnits(request).map((unit) => [unit.id, unit]));
  const allowed = (id: string, codec: string) => {
    const unit = units.get(id);
    return unit ? nearestCandidate(unit, codecIdOf(codec)) : codec;
  };
  return {
    rounding: (codec: string) => (id: string) => library.matrixAt(id, allowed(id, codec)),
    matrixAt: (id: string, codec: string) => library.matrixAt(id, allowed(id, codec)),
    errorOf: (id: string, codec: string) => library.errorOf(id, allowed(id, codec)),
  };
}

/** Scores by matrix without the codecs that rules forbid a matrix: what was measured there is another codec's. */
function withinRules(scores: Scores, request: RunRequest): Scores {
  if (ALLOCATORS[request.recipe.plan.allocator].grain === "block") return scores;
  const units = new Map(planUnits(request).map(({ id, candidates }) => [id, new Set<string>(candidates)]));
  const kept = <T>(table: Readonly<Record<string, Readonly<Record<string, T>>>>) =>
    Object.fromEntries(
      Object.entries(table).map(([id, byCodec]) => {
        const allowed = units.get(id);
        return [id, Object.fromEntries(Object.entries(byCodec).filter(([codec]) => allowed?.has(codec) ?? true))];
      }),
    );
  const { losses, details } = scores;
  return { ...scores, losses: losses && kept(losses), ...(details && { details: kept(details) }) };
}

function mergeLosses(earlier: Losses, later: Losses): Losses {
  const units = new Set([...Object.keys(earlier), ...Object.keys(later)]);
  return Object.fromEntries([...units].map((unit) => [unit, { ...earlier[unit], ...later[unit] }]));
}

/** Units that losses are measured for: `blocks.<i>`; and embedding and output head. */
function scoredUnits(spec: DecoderSpec): { blocks: string[]; outer: string[] } {
  const blocks = spec.blocks.map((_, block) => blockName(block));
  return { blocks, outer: spec.tied ? ["embedding"] : ["embedding", "head"] };
}

/** Whether a codec holds a unit's stored weights exactly, so that its loss is 0 and need not be measured. */
function exactCodecs(checkpoint: Checkpoint): (unit: string, codec: CodecId) => boolean {
  const matrices = matricesOf(checkpoint.spec);
  return (unit, codec) =>
    codec === "f32" ||
    matrices
      .filter(({ id }) => isInUnit(id, unit))
      .every(({ id }) => checkpoint.storedDtype(id).toLowerCase() === codec);
}

function withZeros(losses: Losses, zeros: (unit: string) => [string, number][]): Losses {
  return Object.fromEntries(
    Object.entries(losses).map(([unit, byCodec]) => [unit, { ...byCodec, ...Object.fromEntries(zeros(unit)) }]),
  );
}

/** Refuses probes that the recipe's library will not have, before anything that takes long. Throws UserError `SCORER_OPTIONS`. */
export function checkProbes(recipe: Recipe, request: RunRequest): void {
  if (!usesLibrary(recipe)) return;
  const { codecs, embeddingCodecs } = candidates(request);
  const asked = ProbeOptions.safeParse(recipe.score.options).data;
  const lists = [
    ["probes", "codecs", asked?.probes, codecs],
    ["embeddingProbes", "embeddingCodecs", asked?.embeddingProbes, embeddingCodecs],
  ] as const;
  for (const [option, field, probes, known] of lists) {
    const unknown = probes?.find((probe) => !known.some((codec) => codec === probe));
    if (unknown === undefined) continue;
    throw new UserError(
      "SCORER_OPTIONS",
      `score.options.${option}: expected codecs that the plan may use (${known.join(", ")}), found ${unknown}`,
      `measure at one of these, or add it to plan.${field}`,
    );
  }
}

const ProbeOptions = z.object({
  probes: KlOptions.shape.probes,
  embeddingProbes: KlOptions.shape.embeddingProbes,
});

function planUnits({ spec, recipe, storedDtype }: RunRequest): Unit[] {
  return unitsOf(spec, recipe.plan, storedDtype);
}

function candidates(request: RunRequest): { codecs: CodecId[]; embeddingCodecs: CodecId[] } {
  const units = planUnits(request);
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
