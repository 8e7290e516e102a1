import { type Generation, generate } from "../../decoding/generate.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import type { Session } from "../../decoding/session.ts";
import { throwIfAborted, UserError } from "../../errors.ts";
import type { WorkOptions } from "../../progress.ts";
import { type DrafterSetup, PLAIN_SETUP } from "./setups.ts";

/** One text by one way to decode. */
export type DrafterRun = Pick<Generation, "ids" | "generateMs" | "decoding">;

/** A text by a way to draft, and the one by plain decoding that was measured shortly before. */
export interface PairedRun {
  readonly run: DrafterRun;
  readonly plain: DrafterRun;
}

/** All texts of one way to draft, in order of the prompts. */
export interface DrafterRuns {
  readonly setup: DrafterSetup;
  readonly pairs: readonly PairedRun[];
}

/** How each text is generated. */
export interface TextOptions extends WorkOptions {
  readonly generateTokens: number;
  /** Go on past end-of-sequence tokens. */
  readonly ignoreEos?: boolean | undefined;
  /** Milliseconds on a clock that never goes back. */
  readonly now?: (() => number) | undefined;
}

export interface MeasureOptions extends TextOptions {
  /** Ids of each prompt, at least one. */
  readonly prompts: readonly Int32Array[];
}

/** What generates: an open model, or as much of one. */
export type DraftingModel = Pick<OpenModel, "tokenizer" | "contextTokens" | "createSession">;

/** Ways to draft between two runs of plain decoding. */
const TURN = 3;

/**
 * Greedy texts of every prompt by every way to draft, in turns with plain decoding: it goes before every three of them,
 * and which ones go first changes from prompt to prompt, so that a machine that slows down slows all alike. A prompt is
 * computed once. The first prompt is run once before, unmeasured. Throws UserError BENCH where a prompt leaves no room
 * in the context.
 */
export async function measureDrafters(
  model: DraftingModel,
  setups: readonly DrafterSetup[],
  options: MeasureOptions,
): Promise<DrafterRuns[]> {
  const { prompts, generateTokens, onProgress } = options;
  checkPrompts(prompts, generateTokens, model.contextTokens);
  const pairs = new Map<DrafterSetup, PairedRun[]>(setups.map((setup) => [setup, []]));
  const total = prompts.length * setups.length;
  let done = 0;
  for (const [at, prompt] of prompts.entries()) {
    const begun = await beginSession(model, prompt, options);
    try {
      const run = (setup: DrafterSetup) => runOnce(model, begun, { prompt, setup, options });
      if (at === 0) for (const setup of [PLAIN_SETUP, ...setups.slice(0, 1)]) await run(setup);
      let plain: DrafterRun | null = null;
      for (const [i, setup] of rotated(setups, at).entries()) {
        if (plain === null || i % TURN === 0) plain = await run(PLAIN_SETUP);
        pairs.get(setup)?.push({ run: await run(setup), plain });
        onProgress?.({ stage: "drafting", done: ++done, total, detail: setup.name });
      }
    } finally {
      begun.close();
    }
  }
  return [...pairs].map(([setup, found]) => ({ setup, pairs: found }));
}

/** A session that holds all of a prompt but its last id. Close it. */
export async function beginSession(
  model: DraftingModel,
  prompt: Int32Array,
  { signal }: WorkOptions,
): Promise<Session> {
  const session = model.createSession();
  try {
    if (prompt.length > 1) await session.feed(prompt.subarray(0, -1), { signal });
    return session;
  } catch (error) {
    session.close();
    throw error;
  }
}

/** A greedy text after a prompt that `begun` holds all but the last id of; `begun` stays as it is. */
export async function runOnce(
  { tokenizer }: DraftingModel,
  begun: Session,
  { prompt, setup, options }: { prompt: Int32Array; setup: DrafterSetup; options: TextOptions },
): Promise<DrafterRun> {
  const { generateTokens, ignoreEos, signal, now } = options;
  throwIfAborted(signal);
  const session = begun.fork();
  try {
    const stream = generate(session, tokenizer, prompt.subarray(-1), {
      ...{ maxTokens: generateTokens, ignoreEos, signal, now },
      decode: setup.decode,
    });
    for (;;) {
      const step = await stream.next();
      if (!step.done) continue;
      // An aborted text ends early: it is not one to count.
      throwIfAborted(signal);
      const { ids, generateMs, decoding } = step.value;
      return { ids, generateMs, decoding };
    }
  } finally {
    session.close();
  }
}

/** Throws UserError BENCH where there is no prompt, or no room in the context for one and its tokens. */
export function checkPrompts(prompts: readonly Int32Array[], generateTokens: number, contextTokens: number): void {
  if (!Number.isInteger(generateTokens) || generateTokens < 2) {
    throw new UserError("BENCH", `generate-tokens: expected a whole number from 2 up, found ${generateTokens}`);
  }
  if (prompts.length === 0) throw new UserError("BENCH", "prompts: expected at least one, found none");
  const longest = Math.max(...prompts.map(({ length }) => length));
  if (longest + generateTokens <= contextTokens) return;
  throw new UserError(
    "BENCH",
    `${longest} prompt and ${generateTokens} generated tokens: the context is ${contextTokens} tokens`,
    "ask for fewer with --prompt-tokens and --generate-tokens",
  );
}

function rotated<T>(items: readonly T[], by: number): T[] {
  const from = items.length === 0 ? 0 : (by * TURN) % items.length;
  return [...items.slice(from), ...items.slice(0, from)];
}
