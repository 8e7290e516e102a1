import { z } from "zod";
import { UserError } from "../../errors.ts";
import { isFile, parseWith } from "../../formats/files.ts";
import { JsonError, parseJson } from "../../formats/json.ts";
import { layoutSafetensors, openSafetensors, writeSafetensors } from "../../formats/safetensors/index.ts";
import type { LowRankPart } from "../../model/low-rank.ts";
import { idOf } from "../../model/matrix-id.ts";
import type { Moments } from "../adam.ts";

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
  const found = moments.get(part) ?? emptyMoments(parts[part]);
  moments.set(part, found);
  return found;
}

function emptyMoments({ a, b }: LowRankPart): PartMoments {
  const zeros = ({ length }: Float32Array): Moments => ({
    first: new Float32Array(length),
    second: new Float32Array(length),
  });
  return { a: zeros(a), b: zeros(b) };
}

/** Saves a state, whole or not at all; numbers are kept bit for bit. */
export async function saveTuning(file: string, key: string, state: TuningState): Promise<void> {
  const { step, past, losses, updates, before } = state;
  const tensors = tensorsOf(state);
  const layout = layoutSafetensors(
    tensors.map(({ name, values }) => ({ name, dtype: "F32" as const, shape: [values.length] })),
    { metadata: { progress: JSON.stringify({ key, step, past, losses, updates, before }) } },
  );
  await writeSafetensors(
    file,
    layout,
    tensors.map(({ name, values }) => ({
      name,
      bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
    })),
  );
}

/**
 * The state that was saved under the key, put into `parts`; null where there is none (other settings, a damaged file).
 */
export async function restoreTuning(
  file: string,
  key: string,
  parts: readonly LowRankPart[],
): Promise<TuningState | null> {
  if (!(await isFile(file))) return null;
  try {
    const saved = await openSafetensors(file);
    try {
      const text = saved.metadata?.get("progress");
      if (text === undefined) return null;
      const { key: found, ...progress } = parseWith(Progress, parseJson(text), file);
      if (found !== key) return null;
      const moments = new Map<number, PartMoments>();
      for (const [i, part] of parts.entries()) {
        if (saved.tensors.has(`${nameOf(part)}.a.first`)) moments.set(i, emptyMoments(part));
      }
      const state = { ...progress, parts, moments };
      for (const { name, values } of tensorsOf(state)) values.set(await saved.readF32(name, 0, values.length));
      return state;
    } finally {
      await saved.close();
    }
  } catch (error) {
    // A damaged state is as good as none: tuning begins again.
    if (error instanceof UserError || error instanceof JsonError) return null;
    throw error;
  }
}

const nameOf = ({ block, role }: LowRankPart) => idOf(block, role);

function tensorsOf({ parts, moments }: TuningState): { name: string; values: Float32Array }[] {
  return parts.flatMap((part, i) => {
    const kept = moments.get(i);
    const numbers = (["a", "b"] as const).flatMap((letter) => {
      const name = `${nameOf(part)}.${letter}`;
      const of = kept?.[letter];
      return [
        { name, values: part[letter] },
        ...(of
          ? [
              { name: `${name}.first`, values: of.first },
              { name: `${name}.second`, values: of.second },
            ]
          : []),
      ];
    });
    return numbers;
  });
}
