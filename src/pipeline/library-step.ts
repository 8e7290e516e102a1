import path from "node:path";
import { z } from "zod";
import type { Plan } from "../artifact/plan.ts";
import { codecIdOf } from "../codecs/index.ts";
import type { Maths } from "../maths/maths.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import { unitsOf } from "../planning/problem/matrices.ts";
import type { WorkOptions } from "../progress.ts";
import { matrixQuantizerOf, QUANTIZERS } from "../quantization/index.ts";
import { buildLibrary } from "../quantization/library/build-library.ts";
import { MatrixLibrary } from "../quantization/library/matrix-library.ts";
import { type CalibrationStep, restoreCalibration } from "./calibration-step.ts";
import { streamedExecutors } from "./executors.ts";
import type { Learning } from "./learning.ts";
import type { RunRequest } from "./plan-step.ts";
import type { Recipe } from "./recipe.ts";
import type { RunFolder, StepResult } from "./run-folder.ts";
import type { RunOptions } from "./run-options.ts";
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
  return QUANTIZERS[matrixQuantizerOf(recipe.quantize.quantizer)].needs !== "nothing";
}

/** What is packed for a run, and with what. */
export interface LibraryWork {
  readonly checkpoint: Checkpoint;
  /** Names the checkpoint's contents. */
  readonly source: string;
  readonly calibration: CalibrationStep;
  readonly request: RunRequest;
  readonly options: RunOptions & WorkOptions;
  readonly maths: Maths;
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
  const quantizer = matrixQuantizerOf(options.recipe.quantize.quantizer);
  return { source, calibration: calibration.id, quantizer, codecs: Object.fromEntries(candidates(request)) };
}

/** The library of a run: every matrix at every codec that a plan may give it, by the original model's statistics. */
export function openLibrary(work: LibraryWork): MatrixLibrary {
  return libraryOf(work, matrixQuantizerOf(work.options.recipe.quantize.quantizer), null);
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
  { libraryKey, ...pass }: RequantizedPlan & { readonly libraryKey: string },
) {
  const inputs = {
    libraryKey,
    codecs: codecsOfPlan(pass.plan),
    ...(pass.learning && { learning: pass.learning.facts }),
  };
  return run.step(name, LibraryStep, inputs, () => requantize(pass), { check: () => sameRequantized(pass) });
}

/** What is quantized anew, and how. */
export interface RequantizedPlan {
  readonly work: LibraryWork;
  readonly plan: Plan;
  /** Null: each matrix by itself. */
  readonly learning: Learning | null;
}

/** The matrices of one plan, packed on the inputs that its own blocks produce. */
export function openRequantized({ work, plan, learning }: RequantizedPlan): MatrixLibrary {
  const { quantizer } = work.options.recipe.quantize;
  const codecs = codecsOfPlan(plan);
  return libraryOf(work, quantizer, hashOf(learning ? { codecs, learning: learning.facts } : codecs));
}

/** Packs them block by block; embedding and output head are the library's. */
async function requantize(pass: RequantizedPlan): Promise<LibraryStep> {
  const { work, plan, learning } = pass;
  const library = openRequantized(pass);
  const codecs = new Map(plan.units.map(({ id, codec }) => [id, [codecIdOf(codec)]]));
  const options = buildOptions(work);
  const refiner = await learning?.open(options);
  try {
    const codecsOf = (id: string) => codecs.get(id) ?? [];
    await buildLibrary(library, { ...options, codecsOf, sequentialFrom: openLibrary(work), refiner });
  } finally {
    await refiner?.close();
  }
  return costsOf(library, codecs);
}

async function sameRequantized(pass: RequantizedPlan): Promise<string | null> {
  const library = openRequantized(pass);
  const blocks = pass.learning ? pass.work.checkpoint.spec.blocks.keys() : [];
  for (const block of blocks)
    if (!(await library.hasVectors(block))) return `the learned vectors of block ${block} are not there any more`;
  return sameLibrary(library, planPairs(pass.plan));
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

function libraryOf({ out, source, calibration }: LibraryWork, quantizer: string, plan: string | null): MatrixLibrary {
  const key = { checkpointId: source, calibrationId: calibration.id, quantizer, plan };
  return new MatrixLibrary(path.join(out, "library"), key);
}

function buildOptions({ checkpoint, calibration, options, maths }: LibraryWork) {
  const { sequences } = restoreCalibration(calibration);
  const { onProgress, signal } = options;
  return {
    source: checkpoint,
    quantizer: matrixQuantizerOf(options.recipe.quantize.quantizer),
    sequences,
    createExecutor: streamedExecutors(options),
    maths,
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
