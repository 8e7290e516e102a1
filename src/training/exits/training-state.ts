import { z } from "zod";
import { UserError } from "../../errors.ts";
import { isFile, parseWith } from "../../formats/files.ts";
import { JsonError, parseJson } from "../../formats/json.ts";
import {
  layoutSafetensors,
  openSafetensors,
  type SafetensorsFile,
  writeSafetensors,
} from "../../formats/safetensors/index.ts";
import type { Moments } from "../adam.ts";
import type { HeadParameters } from "./head-parameters.ts";

/** How a head does on the held-out tokens. */
export const HeadScore = z.strictObject({
  /** Mean KL(teacher || head) in nats, on the head's ids and the rest as one. */
  loss: z.number(),
  /** Share of tokens whose answer, of the whole vocabulary, is the whole model's. */
  agreement: z.number().min(0).max(1),
});
export type HeadScore = z.infer<typeof HeadScore>;

/** One head on its way. */
export interface HeadInTraining {
  /** Changed in place. */
  readonly parameters: HeadParameters;
  /** Of each learned parameter, in order. */
  readonly moments: readonly Moments[];
  /**
   * Learned numbers where the held-out loss was least, and what it was there; what nothing has been learned of counts
   * too.
   */
  readonly best: readonly Float32Array[];
  before: HeadScore;
  bestScore: HeadScore;
  bestStep: number;
}

/** All that training goes on from. */
export interface TrainingState {
  readonly heads: readonly HeadInTraining[];
  /** Steps done. */
  step: number;
  /** Looks at the held-out tokens since one at which a head had become better. */
  idle: number;
  done: boolean;
}

const Progress = z.strictObject({
  key: z.string(),
  step: z.number().int().nonnegative(),
  idle: z.number().int().nonnegative(),
  done: z.boolean(),
  heads: z.array(z.strictObject({ before: HeadScore, bestScore: HeadScore, bestStep: z.number().int() })),
});

/** The learned parameters of a head. */
export function learnedOf(parameters: HeadParameters): HeadParameters {
  return parameters.filter(({ learned }) => learned);
}

/** The state of heads that have learned nothing, of the scores that they have so. */
export function newState(heads: readonly HeadParameters[], scores: readonly HeadScore[]): TrainingState {
  return {
    heads: heads.map((parameters, i) => ({
      parameters,
      moments: learnedOf(parameters).map(({ values }) => ({
        first: new Float32Array(values.length),
        second: new Float32Array(values.length),
      })),
      best: learnedOf(parameters).map(({ values }) => values.slice()),
      before: scores[i],
      bestScore: scores[i],
      bestStep: 0,
    })),
    step: 0,
    idle: 0,
    done: false,
  };
}

/** Saves a state, whole or not at all; numbers are kept bit for bit. */
export async function saveState(file: string, key: string, state: TrainingState): Promise<void> {
  const { step, idle, done, heads } = state;
  const scores = heads.map(({ before, bestScore, bestStep }) => ({ before, bestScore, bestStep }));
  const tensors = tensorsOf(state);
  const layout = layoutSafetensors(
    tensors.map(({ name, values }) => ({ name, dtype: "F32", shape: [values.length] })),
    { metadata: { progress: JSON.stringify({ key, step, idle, done, heads: scores }) } },
  );
  const pieces = tensors.map(({ name, values }) => {
    return { name, bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength) };
  });
  await writeSafetensors(file, layout, pieces);
}

/**
 * Writes a saved state of the same key into `state`, which is of the same heads; false, and nothing written, where
 * there is none.
 */
export async function restoreState(file: string, key: string, state: TrainingState): Promise<boolean> {
  if (!(await isFile(file))) return false;
  try {
    const saved = await openSafetensors(file);
    return await restore(saved, key, state).finally(() => saved.close());
  } catch (error) {
    // A damaged state is as good as none: training begins again.
    if (error instanceof UserError || error instanceof JsonError) return false;
    throw error;
  }
}

async function restore(saved: SafetensorsFile, key: string, state: TrainingState): Promise<boolean> {
  const found = progressOf(saved);
  if (found?.key !== key || found.heads.length !== state.heads.length) return false;
  const read: Float32Array[] = [];
  for (const { name, values } of tensorsOf(state)) {
    if (saved.tensor(name).shape[0] !== values.length) return false;
    read.push(await saved.readF32(name, 0, values.length));
  }
  for (const [i, { values }] of tensorsOf(state).entries()) values.set(read[i]);
  for (const [i, head] of state.heads.entries()) Object.assign(head, found.heads[i]);
  Object.assign(state, { step: found.step, idle: found.idle, done: found.done });
  return true;
}

function progressOf(saved: SafetensorsFile): z.infer<typeof Progress> | null {
  const text = saved.metadata?.get("progress");
  return text === undefined ? null : parseWith(Progress, parseJson(text), saved.label);
}

function tensorsOf({ heads }: TrainingState): { name: string; values: Float32Array }[] {
  return heads.flatMap(({ parameters, moments, best }, head) =>
    learnedOf(parameters).flatMap(({ name, values }, i) => [
      { name: `${head}.${name}`, values },
      { name: `${head}.${name}.first`, values: moments[i].first },
      { name: `${head}.${name}.second`, values: moments[i].second },
      { name: `${head}.${name}.best`, values: best[i] },
    ]),
  );
}
