import { z } from "zod";
import type { LowRankPart } from "../../model/low-rank.ts";
import { idOf } from "../../model/matrix-id.ts";
import { emptyMoments, type Moments } from "../adam.ts";
import { type NamedNumbers, restoreNumbers, saveNumbers } from "../saved-state.ts";

const TurnRecord = z.strictObject({
  window: z.number().int().nonnegative(),
  steps: z.number().int().nonnegative(),
  firstLoss: z.number(),
  lastLoss: z.number(),
});

const Progress = z.strictObject({
  key: z.string(),
  /** Steps done in all. */
  step: z.number().int().nonnegative(),
  /** Whole turns. */
  past: z.array(TurnRecord),
  /** Losses of the steps of the turn under way. */
  losses: z.array(z.number()),
  /** Updates of each window. */
  updates: z.array(z.number().int().nonnegative()),
  /** Held-out losses at the windows' ends before anything was learned. */
  before: z.array(z.number()),
});
type TuningProgress = Omit<z.infer<typeof Progress>, "key">;

/** Running means of the slopes of one part's numbers. */
export interface PartMoments {
  readonly a: Moments;
  readonly b: Moments;
}

/** All that tuning goes on from. */
export interface TuningState extends TuningProgress {
  /** Changed in place. */
  readonly parts: readonly LowRankPart[];
  /** Of parts that are learned now or again, by the part's number. */
  readonly moments: Map<number, PartMoments>;
}

/** The moments of a part, zeros where nothing was learned of it. */
export function momentsOf({ moments, parts }: TuningState, part: number): PartMoments {
  const found = moments.get(part) ?? startMoments(parts[part]);
  moments.set(part, found);
  return found;
}

function startMoments({ a, b }: LowRankPart): PartMoments {
  return { a: emptyMoments(a.length), b: emptyMoments(b.length) };
}

/** Saves a state, whole or not at all; numbers are kept bit for bit. */
export function saveTuning(file: string, key: string, state: TuningState): Promise<void> {
  const { step, past, losses, updates, before } = state;
  return saveNumbers(file, { key, step, past, losses, updates, before }, numbersOf(state));
}

/**
 * The state that was saved under the key, put into `parts`; null, and nothing put there, where there is none (other
 * settings, a damaged file).
 */
export async function restoreTuning(
  file: string,
  key: string,
  parts: readonly LowRankPart[],
): Promise<TuningState | null> {
  const moments: TuningState["moments"] = new Map();
  const found = await restoreNumbers(file, {
    key,
    schema: Progress,
    numbersOf(_, saved) {
      for (const [i, part] of parts.entries()) {
        if (saved.tensors.has(`${nameOf(part)}.a.first`)) moments.set(i, startMoments(part));
      }
      return numbersOf({ parts, moments });
    },
  });
  if (!found) return null;
  const { key: _, ...progress } = found;
  return { ...progress, parts, moments };
}

const nameOf = ({ block, role }: LowRankPart) => idOf(block, role);

function numbersOf({ parts, moments }: Pick<TuningState, "parts" | "moments">): NamedNumbers[] {
  return parts.flatMap((part, i) =>
    (["a", "b"] as const).flatMap((letter) => {
      const name = `${nameOf(part)}.${letter}`;
      const kept = moments.get(i)?.[letter];
      const means = kept && [
        { name: `${name}.first`, values: kept.first },
        { name: `${name}.second`, values: kept.second },
      ];
      return [{ name, values: part[letter] }, ...(means ?? [])];
    }),
  );
}
