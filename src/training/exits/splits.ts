import { UserError } from "../../errors.ts";
import { Random } from "../../tensor/random.ts";

/** What each token is used for; no sequence serves two of them. */
export const SPLITS = ["train", "stop", "calibrate", "report"] as const;
export type Split = (typeof SPLITS)[number];

/**
 * Shares of the tokens held out: for choosing the iterate, for the thresholds, and for the report. Thresholds get most:
 * their error adds to the report's, and a largest coverage selects among errors.
 */
const HELD_OUT: readonly (readonly [Split, number])[] = [
  ["stop", 0.04],
  ["calibrate", 0.16],
  ["report", 0.08],
];

/**
 * Sequences by use, each wholly in one of them and at least one in each, chosen by the seed; the rest trains. Throws
 * UserError EXIT_TOKENS with fewer than four.
 */
export function splitSequences(sequences: readonly Int32Array[], seed: number): Record<Split, Int32Array[]> {
  const left = new Random(seed).fork("splits").shuffle(sequences.filter(({ length }) => length > 0));
  if (left.length < SPLITS.length) {
    throw new UserError(
      "EXIT_TOKENS",
      `exits: text: expected at least ${SPLITS.length} sequences, found ${left.length}`,
      "give more text to train exits on",
    );
  }
  const total = left.reduce((sum, { length }) => sum + length, 0);
  const split: Record<Split, Int32Array[]> = { train: [], stop: [], calibrate: [], report: [] };
  for (const [i, [name, share]] of HELD_OUT.entries()) {
    let tokens = 0;
    // One for each of the others, and one to train on, must be left.
    while (tokens < share * total && left.length > HELD_OUT.length - i) {
      const sequence = left.splice(0, 1);
      split[name].push(...sequence);
      tokens += sequence[0].length;
    }
  }
  split.train.push(...left);
  return split;
}
