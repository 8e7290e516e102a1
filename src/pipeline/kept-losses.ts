import path from "node:path";
import { z } from "zod";
import { readJsonFile, writeFileAtomic } from "../formats/files.ts";
import { SCORER_IDS, SCORERS } from "../scoring/index.ts";
import type { KeptLosses } from "../scoring/scorer.ts";
import type { Losses, Scores } from "../scoring/scores.ts";
import type { StepWork } from "./run-folder.ts";
import { readableJson } from "./step-key.ts";

/** What one measured loss depends on, of all that scores depend on: not which others are measured with it. */
const MeasuredUnder = z.object({
  /** Names of the checkpoint, of what was pruned of it, and of the calibration text. */
  steps: z.object({ weights: z.string(), prune: z.string().optional(), calibration: z.string() }),
  executor: z.string(),
  scorer: z.enum(SCORER_IDS),
  options: z.record(z.string(), z.unknown()),
  measured: z.object({ quantizer: z.string(), rules: z.unknown().optional() }),
});

/** Losses kept in a step's scratch folder; `keep` throws where earlier ones could not be written. */
interface KeptInFolder extends KeptLosses {
  /** Until all is written; rejects never. */
  readonly settled: () => Promise<void>;
}

/** Losses that an interrupted run has left in the step's scratch folder, and those of {@link measuredBefore}. */
export async function openKeptLosses(to: StepWork<Scores>): Promise<KeptInFolder> {
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
  const [before, now] = [earlier.inputs, inputs].map(conditionsOf);
  return before !== null && before === now ? measuredOf(earlier.value) : {};
}

/** What a single loss was measured under; null for scorers that keep none. */
function conditionsOf(inputs: unknown): string | null {
  const found = MeasuredUnder.safeParse(inputs).data;
  const counting = found && SCORERS[found.scorer].lossOptions;
  if (!counting) return null;
  const options = ["tokens", ...counting].map((name) => [name, found.options[name] ?? null]);
  return JSON.stringify({ ...found, options });
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
