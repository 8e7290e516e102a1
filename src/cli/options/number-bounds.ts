import { UserError } from "../../errors.ts";
import { formatCount } from "../text/number-text.ts";
import { shorten } from "../text/shorten.ts";

/** What a number on the command line may be, ends included. */
export interface NumberBounds {
  readonly least: number;
  readonly most: number;
  readonly whole: boolean;
}

/** More tokens than any model's context or any text within the limit of files has. */
const MOST_TOKENS = 2 ** 24;
const tokens = whole(1, MOST_TOKENS);

/**
 * Every option that is a number, or a list of numbers, and its bounds: what no command can use, or only with memory or
 * time without end. What a model allows may be less, and is said where the model is known.
 */
export const NUMBER_BOUNDS: Readonly<Record<string, NumberBounds>> = {
  context: tokens,
  "calibration-tokens": tokens,
  tokens,
  threads: whole(1, 1024),
  sweep: whole(2, 10_000),
  "max-tokens": whole(0, MOST_TOKENS),
  temperature: real(0, 100),
  "top-k": whole(0, MOST_TOKENS),
  "top-p": real(0, 1),
  "min-p": real(0, 1),
  "repetition-penalty": real(0.01, 100),
  seed: whole(0, 2 ** 32 - 1),
  epsilon: real(0, 1),
  epsilons: real(0, 1),
  "draft-limit": whole(1, 32),
  "draft-limits": whole(1, 32),
  "draft-lengths": whole(1, 32),
  window: tokens,
  stride: tokens,
  windows: whole(1, 1_000_000),
  limit: whole(1, 1_000_000),
  count: whole(1, 1000),
  rank: whole(1, 65_536),
  "head-vocab": tokens,
  exits: whole(1, 1000),
  "exits-at": whole(1, 1000),
  "vote-weights": real(0, 1000),
  "prompt-tokens": tokens,
  "generate-tokens": whole(2, MOST_TOKENS),
  "prompt-count": whole(1, 10_000),
  "prompt-chunk": tokens,
  repeats: whole(1, 10_000),
  warmup: whole(0, 10_000),
  rows: whole(1, 1024),
  turn: whole(1, 1_000_000),
  "first-block": whole(0, 100_000),
  alpha: real(0, 1e6),
  steps: whole(1, 10_000_000),
  accumulate: whole(1, 10_000),
  sequence: tokens,
  rate: real(0, 1),
  decay: real(0, 1),
  clip: real(0, 1e6),
  "held-out": real(0, 0.5),
  "save-every": whole(1, 1_000_000),
};

/** Numbers of a list, at most: each is measured. */
const MOST_NUMBERS = 64;

/** The number that a text gives for an option of the table. Throws UserError USAGE where it is none, or beyond. */
export function checkedNumber(option: string, text: string): number {
  const { least, most, whole } = NUMBER_BOUNDS[option];
  const value = text.trim() === "" ? Number.NaN : Number(text);
  if (value >= least && value <= most && (!whole || Number.isInteger(value))) return value;
  const range = `from ${formatCount(least)} to ${formatCount(most)}`;
  throw new UserError(
    "USAGE",
    `--${option}: expected a ${whole ? "whole " : ""}number ${range}, found ${shorten(text)}`,
  );
}

/** "1,2,4" as numbers of an option of the table. Throws UserError USAGE. */
export function checkedNumbers(option: string, text: string): number[] {
  const parts = text.split(",");
  if (parts.length <= MOST_NUMBERS) return parts.map((part) => checkedNumber(option, part));
  throw new UserError("USAGE", `--${option}: expected at most ${MOST_NUMBERS} numbers, found ${parts.length}`);
}

function whole(least: number, most: number): NumberBounds {
  return { least, most, whole: true };
}

function real(least: number, most: number): NumberBounds {
  return { least, most, whole: false };
}
