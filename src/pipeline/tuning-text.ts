import { UserError } from "../errors.ts";
import { readFileBytes } from "../formats/files.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { Random } from "../tensor/random.ts";
import { type Example, examplesOf } from "../training/tuning/examples.ts";
import type { TuneSettings } from "../training/tuning/settings.ts";

/** Files are read whole, so there is a limit. */
const MAX_TEXT_BYTES = 256 * 1024 * 1024;
/** Tokens that are looked at before and after, at most: what more would say is not worth the time. */
const MAX_HELD_OUT_TOKENS = 32 * 1024;

/**
 * Refuses settings that a model of so many blocks and a context of so many tokens cannot have. Throws UserError
 * TUNING_SETTINGS.
 */
export function checkTuning(
  { window, firstBlock, sequence, warmup, steps }: TuneSettings,
  { blocks, contextTokens }: { readonly blocks: number; readonly contextTokens: number },
): void {
  const bad = (what: string, expected: string, found: number) =>
    new UserError("TUNING_SETTINGS", `${what}: expected ${expected}, found ${found}`);
  if (firstBlock >= blocks) throw bad("first-block", `a block below ${blocks}`, firstBlock);
  if (window !== "all" && window > blocks - firstBlock) {
    throw bad("window", `at most ${blocks - firstBlock} blocks`, window);
  }
  if (sequence > contextTokens)
    throw bad("sequence", `at most the model's context of ${contextTokens} tokens`, sequence);
  if (warmup > steps) throw bad("warmup", `at most the ${steps} steps`, warmup);
}

/** Text to tune on. */
interface TuningFiles {
  /** `.txt`, or JSON lines (training/tuning/examples.ts). */
  readonly data: readonly string[];
  /** Text that is held out; null: a share of the data. */
  readonly heldOutFile: string | null;
}

/** Examples to learn from, and those that are held out. Throws UserError TUNING_TEXT, and `FILE_*`. */
export async function tuningExamples(
  { data, heldOutFile }: TuningFiles,
  { sequence, heldOut: share, seed }: TuneSettings,
  tokenizer: Tokenizer,
): Promise<Record<"train" | "heldOut", Example[]>> {
  const read = async (file: string) =>
    examplesOf({ label: file, bytes: await readFileBytes(file, MAX_TEXT_BYTES) }, { tokenizer, sequence });
  const all: Example[] = [];
  for (const file of data) all.push(...(await read(file)));
  if (heldOutFile !== null) return { train: all, heldOut: firstTokens(await read(heldOutFile)) };
  const count = Math.max(1, Math.round(share * all.length));
  if (count >= all.length) {
    const found = `tuning text: expected two sequences or more, one of them to be held out, found ${all.length}`;
    throw new UserError("TUNING_TEXT", found, "give more text, a smaller --sequence, or --held-out FILE");
  }
  const order = new Random(seed).fork("held out").shuffle([...all.keys()]);
  const apart = new Set(order.slice(0, count));
  return {
    train: all.filter((_, i) => !apart.has(i)),
    heldOut: firstTokens(all.filter((_, i) => apart.has(i))),
  };
}

function firstTokens(examples: readonly Example[]): Example[] {
  let tokens = 0;
  return examples.filter(({ ids }, i) => {
    tokens += ids.length;
    return i === 0 || tokens <= MAX_HELD_OUT_TOKENS;
  });
}
