import { z } from "zod";
import { emptyMoments, type Moments } from "../adam.ts";
import { type NamedNumbers, restoreNumbers, saveNumbers } from "../saved-state.ts";
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
      moments: learnedOf(parameters).map(({ values }) => emptyMoments(values.length)),
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
export function saveState(file: string, key: string, state: TrainingState): Promise<void> {
  const { step, idle, done, heads } = state;
  const scores = heads.map(({ before, bestScore, bestStep }) => ({ before, bestScore, bestStep }));
  return saveNumbers(file, { key, step, idle, done, heads: scores }, numbersOf(state));
}

/**
 * Writes a saved state of the same key into `state`, which is of the same heads; false, and nothing written, where
 * there is none.
 */
export async function restoreState(file: string, key: string, state: TrainingState): Promise<boolean> {
  const found = await restoreNumbers(file, {
    key,
    schema: Progress,
    numbersOf: ({ heads }) => (heads.length === state.heads.length ? numbersOf(state) : null),
  });
  if (!found) return false;
  for (const [i, head] of state.heads.entries()) Object.assign(head, found.heads[i]);
  Object.assign(state, { step: found.step, idle: found.idle, done: found.done });
  return true;
}

function numbersOf({ heads }: TrainingState): NamedNumbers[] {
  return heads.flatMap(({ parameters, moments, best }, head) =>
    learnedOf(parameters).flatMap(({ name, values }, i) => [
      { name: `${head}.${name}`, values },
      { name: `${head}.${name}.first`, values: moments[i].first },
      { name: `${head}.${name}.second`, values: moments[i].second },
      { name: `${head}.${name}.best`, values: best[i] },
    ]),
  );
}
