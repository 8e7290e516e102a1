import path from "node:path";
import { z } from "zod";
import { readJsonFile, writeFileAtomic } from "../formats/files.ts";
import type { Losses, Scores } from "../scoring/scores.ts";
import type { StepWork } from "./run-folder.ts";
import { readableJson } from "./step-key.ts";

/** What one measured loss depends on, of all that scores depend on: not which others are measured with it. */
const MeasuredUnder = z.object({
  /** Names of the checkpoint and of the calibration text. */
  steps: z.object({ weights: z.string(), calibration: z.string() }),
  executor: z.string(),
  scorer: z.literal("kl"),
  options: z.object({ tokens: z.number().optional() }),
  measured: z.object({ quantizer: z.string(), rules: z.unknown().optional() }),
});

/** Losses that are not measured again, and where new ones are kept. */
export interface KeptLosses {
  readonly saved: Losses;
  /** Keeps all losses so far. Throws where earlier ones could not be written. */
  readonly keep: (losses: Losses) => void;
  /** Until all is written; rejects never. */
  readonly settled: () => Promise<void>;
}

/** Losses that an interrupted run has left in the step's scratch folder, and those of {@link measuredBefore}. */
export async function openKeptLosses(to: StepWork<Scores>): Promise<KeptLosses> {
  const file = path.join(await to.scratch(), "losses.json");
  const partial = await readJsonFile(file, z.record(z.string(), z.record(z.string(), z.number()))).catch(() => ({}));
  const earlier = await to.earlier();
  let writing: Promise<void> = Promise.resolve();
  let failure: { readonly error: unknown } | null = null;
  return {
    saved: mergeLosses(earlier ? measuredBefore(earlier, to.inputs) : {}, partial),
    keep(losses) {
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

/**
 * Losses of earlier scores that would be measured the same under `inputs`: another list of codecs, or other probes,
 * then cost only what is new. None where the scores are another checkpoint's, quantizer's or scorer's.
 */
export function measuredBefore(earlier: { readonly inputs: unknown; readonly value: Scores }, inputs: unknown): Losses {
  const [before, now] = [earlier.inputs, inputs].map((one) => MeasuredUnder.safeParse(one).data);
  if (!before || !now || JSON.stringify(before) !== JSON.stringify(now)) return {};
  return measuredOf(earlier.value);
}

/** Of scores by matrix the measured ones; else all. */
function measuredOf({ losses, details }: Scores): Losses {
  const measured = Object.entries(losses ?? {}).map(([unit, byCodec]): [string, Record<string, number>] => {
    const figures = details?.[unit];
    if (!figures) return [unit, byCodec];
    const known = Object.entries(figures).flatMap(([codec, { measured: loss }]): [string, number][] =>
      loss === undefined ? [] : [[codec, loss]],
    );
    return [unit, Object.fromEntries(known)];
  });
  return Object.fromEntries(measured);
}

function mergeLosses(earlier: Losses, later: Losses): Losses {
  const units = new Set([...Object.keys(earlier), ...Object.keys(later)]);
  return Object.fromEntries([...units].map((unit) => [unit, { ...earlier[unit], ...later[unit] }]));
}
