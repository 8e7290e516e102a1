import path from "node:path";
import { z } from "zod";
import type { Plan } from "../artifact/plan.ts";
import { codecIdOf } from "../codecs/index.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { NativeEngine } from "../native/addon.ts";
import { unitsOf } from "../planning/units.ts";
import type { WorkOptions } from "../progress.ts";
import { QUANTIZER_NEEDS } from "../quantization/index.ts";
import { buildLibrary } from "../quantization/library/build-library.ts";
import { MatrixLibrary } from "../quantization/library/matrix-library.ts";
import { type CalibrationStep, restoreCalibration } from "./calibration-step.ts";
import type { RunOptions } from "./compress-options.ts";
import { streamedExecutors } from "./executors.ts";
import type { RunRequest } from "./plan-step.ts";
import type { Recipe } from "./recipe.ts";
import type { RunFolder, StepResult } from "./run-folder.ts";
import { hashOf } from "./step-key.ts";

/** What a codec adds to a library: seconds of packing and bytes on disk, over all its matrices. */
export const CodecCost = z.strictObject({
  codec: z.string(),
  matrices: z.number(),
  seconds: z.number(),
  bytes: z.number(),
});
export type CodecCost = z.infer<typeof CodecCost>;

/** What `library.json` and `requantized.json` hold: the seconds and bytes of each codec. The matrices lie in `library/`. */
export const LibraryStep = z.strictObject({
  codecs: z.array(CodecCost),
});
export type LibraryStep = z.infer<typeof LibraryStep>;

/** Whether the recipe's quantizer looks at what a matrix multiplies: its matrices then come from a library. */
export function usesLibrary(recipe: Recipe): boolean {
  return QUANTIZER_NEEDS[recipe.quantize.quantizer] !== "nothing";
}

/** What is packed for a run, and with what. */
export interface LibraryWork {
  readonly checkpoint: Checkpoint;
  /** Names the checkpoint's contents. */
  readonly source: string;
  readonly calibration: CalibrationStep;
  readonly request: RunRequest;
  readonly options: RunOptions & WorkOptions;
  readonly engine: NativeEngine | null;
  /** The run folder. */
  readonly out: string;
}

/** The library as a step of its run: packs whatever it lacks. */
export function libraryStep(run: RunFolder, work: LibraryWork): Promise<StepResult<LibraryStep>> {
  return run.step("library", LibraryStep, libraryInputs(work), () => fillLibrary(work), {
    check: () => sameLibrary(openLibrary(work), pairsOf(candidates(work.request))),
  });
}

/** What the library's bytes depend on. */
function libraryInputs({ source, calibration, request, options }: LibraryWork): unknown {
  const { quantizer } = options.recipe.quantize;
  return { source, calibration: calibration.id, quantizer, codecs: Object.fromEntries(candidates(request)) };
}

/** The library of a run: every matrix at every codec that a plan may give it, by the original model's statistics. */
export function openLibrary(work: LibraryWork): MatrixLibrary {
  return libraryOf(work, null);
}

/** Packs what the library lacks. Throws UserError on damaged weights, Interrupted when stopped. */
async function fillLibrary(work: LibraryWork): Promise<LibraryStep> {
  const library = openLibrary(work);
  const codecs = candidates(work.request);
  await buildLibrary(library, { ...buildOptions(work), codecsOf: (id) => codecs.get(id) ?? [] });
  return costsOf(library, codecs);
}

/** One plan quantized anew, on the inputs that its own blocks produce, as a step of its run. */
export function requantizedStep(
  run: RunFolder,
  name: string,
  { work, plan, libraryKey }: { readonly work: LibraryWork; readonly plan: Plan; readonly libraryKey: string },
) {
  const inputs = { libraryKey, codecs: codecsOfPlan(plan) };
  return run.step(name, LibraryStep, inputs, () => requantize(work, plan), {
    check: () => sameLibrary(openRequantized(work, plan), planPairs(plan)),
  });
}

/** The matrices of one plan, packed on the inputs that its own blocks produce. */
export function openRequantized(work: LibraryWork, plan: Plan): MatrixLibrary {
  return libraryOf(work, hashOf(codecsOfPlan(plan)));
}

/** Packs them block by block; embedding and output head are the library's. */
async function requantize(work: LibraryWork, plan: Plan): Promise<LibraryStep> {
  const library = openRequantized(work, plan);
  const codecs = new Map(plan.units.map(({ id, codec }) => [id, [codecIdOf(codec)]]));
  await buildLibrary(library, {
    ...buildOptions(work),
    codecsOf: (id) => codecs.get(id) ?? [],
    sequentialFrom: openLibrary(work),
  });
  return costsOf(library, codecs);
}

/** Null where all matrices are there, else why they are packed again. */
async function sameLibrary(library: MatrixLibrary, pairs: readonly (readonly [string, string])[]) {
  for (const [id, codec] of pairs)
    if (!(await library.has(id, codec))) return `${id} at ${codec} is not there any more`;
  return null;
}

/** Matrix and codec of a plan. */
export function planPairs(plan: Plan): [string, string][] {
  return plan.units.map(({ id, codec }) => [id, codec]);
}

function libraryOf({ out, source, calibration, options }: LibraryWork, plan: string | null): MatrixLibrary {
  const { quantizer } = options.recipe.quantize;
  const key = { checkpointId: source, calibrationId: calibration.id, quantizer, plan };
  return new MatrixLibrary(path.join(out, "library"), key);
}

function buildOptions({ checkpoint, calibration, options, engine }: LibraryWork) {
  const { sequences } = restoreCalibration(calibration);
  const { onProgress, signal } = options;
  const { quantizer } = options.recipe.quantize;
  return {
    source: checkpoint,
    quantizer,
    sequences,
    createExecutor: streamedExecutors(options),
    engine,
    onProgress,
    signal,
  };
}

function candidates(request: RunRequest) {
  const units = unitsOf(request.spec, request.recipe.plan, request.storedDtype);
  return new Map(units.map(({ id, candidates }) => [id, candidates]));
}

function codecsOfPlan(plan: Plan): Record<string, string> {
  return Object.fromEntries(planPairs(plan));
}

function pairsOf(codecs: ReadonlyMap<string, readonly string[]>): [string, string][] {
  return [...codecs].flatMap(([id, ids]) => ids.map((codec): [string, string] => [id, codec]));
}

async function costsOf(library: MatrixLibrary, codecs: ReadonlyMap<string, readonly string[]>): Promise<LibraryStep> {
  return { codecs: await library.costs(pairsOf(codecs)) };
}
