import path from "node:path";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { readJsonFile } from "../formats/files.ts";
import { type Losses, Scores } from "../scoring/scores.ts";

/** What one measured loss depends on, of all that scores depend on: not which others are measured with it. */
const MeasuredUnder = z.object({
  source: z.string(),
  calibrationId: z.string(),
  executor: z.string(),
  scorer: z.literal("kl"),
  options: z.object({ tokens: z.number().optional() }),
  measured: z.object({ quantizer: z.string(), rules: z.unknown().optional() }),
  toolVersion: z.string(),
});

const ScoresFile = z.object({ inputs: MeasuredUnder, value: Scores });

/**
 * Losses that the run folder's scores hold already and that would be measured the same under `inputs`: another list of codecs, or other
 * probes, then cost only what is new. None where the scores are another checkpoint's, quantizer's or scorer's.
 */
export async function measuredBefore(runFolder: string, inputs: unknown): Promise<Losses> {
  const wanted = MeasuredUnder.safeParse(inputs);
  if (!wanted.success) return {};
  const file = await readJsonFile(path.join(runFolder, "scores.json"), ScoresFile).catch((error: unknown) => {
    if (error instanceof UserError) return null;
    throw error;
  });
  if (!file || JSON.stringify(file.inputs) !== JSON.stringify(wanted.data)) return {};
  return measuredOf(file.value);
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
