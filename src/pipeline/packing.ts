import path from "node:path";
import { z } from "zod";
import type { Plan } from "../artifact/plan.ts";
import type { WeightSource } from "../model/weight-source.ts";
import { matrixQuantizerOf } from "../quantization/index.ts";
import type { BuildLibraryOptions } from "../quantization/library/build-library.ts";
import { MatrixLibrary } from "../quantization/library/matrix-library.ts";
import type { Job } from "./job.ts";
import { plannedModelOf, type WorkModel } from "./model.ts";
import { calibrationStep, restoreCalibration } from "./steps/calibration.ts";

/** What a codec adds to a library: seconds of packing and bytes on disk, over all its matrices. */
const CodecCost = z.strictObject({
  codec: z.string(),
  matrices: z.number(),
  seconds: z.number(),
  bytes: z.number(),
});
export type CodecCost = z.infer<typeof CodecCost>;

/** What steps that pack into `library/` hold: the seconds and bytes of each codec. */
export const PackingCosts = z.strictObject({ codecs: z.array(CodecCost) });
export type PackingCosts = z.infer<typeof PackingCosts>;

/** A matrix and one of its codecs. */
export type Pair = readonly [id: string, codec: string];

/**
 * The library of a job, for `job.once`: every matrix at every codec that a plan may give it, by the original model's
 * statistics.
 */
export async function libraryOf(job: Job): Promise<MatrixLibrary> {
  const made = { quantizer: matrixQuantizerOf(job.recipe.quantize.quantizer), plan: null };
  return openLibrary(job, await job.once(plannedModelOf), made);
}

/**
 * A library in the run folder of all that its bytes depend on; `plan` names what the matrices of one plan were made by.
 */
export async function openLibrary(
  job: Job,
  model: WorkModel,
  made: { readonly quantizer: string; readonly plan: string | null },
): Promise<MatrixLibrary> {
  const { id: checkpointId } = model;
  const { id: calibrationId } = await job.get(calibrationStep);
  return new MatrixLibrary(path.join(job.folder, "library"), { checkpointId, calibrationId, ...made }, () =>
    job.assertSource(),
  );
}

/** What a library of a model is filled from, and by. */
export async function packingOf(job: Job, { source }: WorkModel): Promise<Omit<BuildLibraryOptions, "codecsOf">> {
  const { maths } = job.origin;
  const { sequences } = restoreCalibration((await job.get(calibrationStep)).value);
  const { recipe, onProgress, signal } = job.options;
  const quantizer = matrixQuantizerOf(recipe.quantize.quantizer);
  return { source, quantizer, sequences, createExecutor: job.executors, maths, onProgress, signal };
}

/** Null where all matrices are there, else why they are packed again. */
export async function missingIn(library: MatrixLibrary, pairs: readonly Pair[]): Promise<string | null> {
  for (const [id, codec] of pairs)
    if (!(await library.has(id, codec))) return `${id} at ${codec} is not there any more`;
  return null;
}

/** A model as a plan's artifact holds it, its matrices out of a library. */
export function underPlan({ source }: WorkModel, library: MatrixLibrary, plan: Plan): WeightSource {
  return library.under(source, new Map(planPairs(plan)));
}

/** Matrix and codec of a plan. */
export function planPairs(plan: Plan): [id: string, codec: string][] {
  return plan.units.map(({ id, codec }) => [id, codec]);
}
