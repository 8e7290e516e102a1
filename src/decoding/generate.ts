import { Interrupted, UserError } from "../errors.ts";
import type { Tokenizer } from "../model/tokenizer.ts";
import { createTextStream } from "../model/tokenizer-stream.ts";
import type { OnProgress } from "../progress.ts";
import { createDecoder, type DecodeOptions } from "./drafters/index.ts";
import type { SamplerOptions } from "./sampler.ts";
import { checkPromptFits, type Session } from "./session.ts";
import type { DecodedToken, DecodingStatistics, RoundLimits, TokenDecoder } from "./speculative/decoder.ts";
import { createStopMatcher } from "./stop.ts";

/** Why generation ended: an end token (of text or turn), a stop string, max tokens, a full context, the signal. */
export type StopReason = "eos" | "stop" | "length" | "context" | "aborted";

export interface GenerateOptions {
  /** Most tokens to generate; null generates until something else ends it. */
  readonly maxTokens: number | null;
  readonly sampler?: Partial<SamplerOptions> | undefined;
  /** Default: plain, every block for every token. */
  readonly decode?: DecodeOptions | undefined;
  /** Generation ends before the first of these in the text. */
  readonly stop?: readonly string[] | undefined;
  /** Tokens that end it beside the model's own: those that end a turn of a chat. */
  readonly endTokens?: readonly number[] | undefined;
  /** Go on past end-of-sequence tokens (benchmarks). */
  readonly ignoreEos?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Progress of the prompt, in tokens. */
  readonly onProgress?: OnProgress | undefined;
  /** Milliseconds on a clock that never goes back; for tests. */
  readonly now?: (() => number) | undefined;
}

/** A piece of streamed text; `id` is null for text held back until the end. Text may be empty while it is held back. */
export interface GeneratedPiece {
  readonly id: number | null;
  readonly text: string;
  /** Blocks that ran before the token was proposed; all of them where no exit did; null without a token. */
  readonly blocks: number | null;
}

/** How a generation went. */
export interface Generation {
  readonly reason: StopReason;
  /** The stop string that ended it, where one did. */
  readonly stop: string | null;
  /** Generated ids, an ending end-of-sequence token excluded. */
  readonly ids: readonly number[];
  /** Blocks that ran before each of them was proposed: an exit's, or all of the model's. */
  readonly depths: readonly number[];
  /** Generated text, as streamed. */
  readonly text: string;
  readonly promptTokens: number;
  /** Tokens of the prompt that were in the KV cache already. */
  readonly reusedTokens: number;
  /** Until the first token was chosen; null if none was. */
  readonly firstTokenMs: number | null;
  /** From the first token to the last. */
  readonly generateMs: number;
  readonly decoding: DecodingStatistics;
}

/**
 * Continues the session with `promptIds` and yields text as it becomes certain; returns how it ended.
 * The session then holds the prompt and the generated tokens; the last one only where something was needed after it.
 * Throws UserError CONTEXT where the prompt exceeds the context, MAX_TOKENS for a number that is no count; nothing is
 * fed then.
 */
export async function* generate(
  session: Session,
  tokenizer: Tokenizer,
  promptIds: ArrayLike<number>,
  options: GenerateOptions,
): AsyncGenerator<GeneratedPiece, Generation> {
  const now = options.now ?? (() => performance.now());
  const { maxTokens, signal } = options;
  const reusedTokens = session.length;
  const promptTokens = reusedTokens + promptIds.length;
  checkPrompt(session, promptIds, maxTokens);
  const eos = new Set(
    options.ignoreEos ? [] : [...session.executor.spec.eosTokens, ...tokenizer.eosTokens, ...(options.endTokens ?? [])],
  );
  const history = [...session.ids, ...Array.from(promptIds)];
  const out = createStoppingTextStream(tokenizer, options.stop ?? [], history);
  const decoder = createDecoder(session, { decode: options.decode, sampler: options.sampler, history, now });

  const ids: number[] = [];
  const depths: number[] = [];
  const held = () => reusedTokens + promptIds.length + ids.length;
  let reason: StopReason | null = maxTokens === 0 ? "length" : null;
  let firstTokenMs: number | null = null;
  let generateMs = 0;
  const started = now();
  try {
    while (reason === null) {
      const room =
        Math.min(maxTokens ?? Number.POSITIVE_INFINITY, session.contextTokens - promptTokens + 1) - ids.length;
      const limits = { tokens: room, ends: (id: number) => eos.has(id), signal };
      const decoded = await nextUnlessAborted(decoder, ids.length === 0 ? promptIds : null, limits, options.onProgress);
      if (decoded === null) reason = "aborted";
      for (const { id, blocks } of decoded ?? []) {
        if (eos.has(id)) {
          reason = "eos";
          break;
        }
        if (firstTokenMs === null) firstTokenMs = now() - started;
        else generateMs = now() - started - firstTokenMs;
        ids.push(id);
        depths.push(blocks);
        yield { id, text: out.push(id), blocks };
        if (out.stop !== null) reason = "stop";
        else if (ids.length === maxTokens) reason = "length";
        else if (held() > session.contextTokens) reason = "context";
        else if (signal?.aborted) reason = "aborted";
        if (reason !== null) break;
      }
    }
  } finally {
    decoder.close();
    // A round may have gone on beyond what ended the text.
    const kept = reason === "eos" ? held() : held() - 1;
    if (session.length > kept) session.truncate(kept);
  }
  const rest = out.flush();
  if (rest !== "") yield { id: null, text: rest, blocks: null };
  if (out.stop !== null) reason = "stop";
  const times = { firstTokenMs, generateMs, decoding: decoder.statistics };
  return { reason, stop: out.stop, ids, depths, text: out.text, promptTokens, reusedTokens, ...times };
}

function checkPrompt(session: Session, promptIds: ArrayLike<number>, maxTokens: number | null): void {
  if (promptIds.length === 0) {
    throw new UserError("PROMPT_EMPTY", "prompt: expected at least one token, found none", "give some text");
  }
  if (maxTokens !== null && (!Number.isInteger(maxTokens) || maxTokens < 0)) {
    throw new UserError("MAX_TOKENS", `max-tokens: expected a whole number from 0 up, found ${maxTokens}`);
  }
  checkPromptFits(session.length + promptIds.length, maxTokens ?? 0, session.contextTokens);
}

/** The next tokens, or null where the signal stopped the work: an abort ends a generation, it does not fail it. */
async function nextUnlessAborted(
  decoder: TokenDecoder,
  promptIds: ArrayLike<number> | null,
  limits: RoundLimits,
  onProgress: OnProgress | undefined,
): Promise<readonly DecodedToken[] | null> {
  try {
    if (promptIds === null) return await decoder.next(limits);
    return [
      await decoder.first(promptIds, {
        signal: limits.signal,
        onProgress: promptIds.length > 1 ? onProgress : undefined,
      }),
    ];
  } catch (error) {
    if (error instanceof Interrupted) return null;
    throw error;
  }
}

interface StoppingTextStream {
  /** All text let through so far. */
  readonly text: string;
  /** The stop string that was completed. */
  readonly stop: string | null;
  push(id: number): string;
  flush(): string;
}

/**
 * Text of ids as it becomes certain: whole characters that cannot be part of a stop string. Special tokens have no
 * text, but a stop string that is one stops. `after`: the ids before, so that a first word keeps its space.
 */
function createStoppingTextStream(
  tokenizer: Tokenizer,
  stopStrings: readonly string[],
  after: readonly number[],
): StoppingTextStream {
  const characters = createTextStream(tokenizer, { skipSpecial: true, after });
  const stops = createStopMatcher(stopStrings);
  const stopIds = specialIds(tokenizer, stopStrings);
  let text = "";
  let stop: string | null = null;
  const pass = (piece: string) => {
    const step = stops.push(piece);
    stop = step.stop;
    text += step.text;
    return step.text;
  };
  const flush = () => {
    const last = pass(characters.flush());
    const held = stop === null ? stops.flush() : "";
    text += held;
    return last + held;
  };
  return {
    get text() {
      return text;
    },
    get stop() {
      return stop;
    },
    push(id) {
      const special = stopIds.get(id);
      if (special === undefined) return pass(characters.push(id));
      const rest = flush();
      stop ??= special;
      return rest;
    },
    flush: () => (stop === null ? flush() : ""),
  };
}

/** Stop strings that are one special token: id -> string. */
function specialIds(tokenizer: Tokenizer, stopStrings: readonly string[]): Map<number, string> {
  const found = new Map<number, string>();
  for (const stop of stopStrings) {
    const ids = tokenizer.encode(stop, { specialTokens: false });
    if (ids.length === 1 && tokenizer.decode(ids, { skipSpecial: true }) === "") found.set(ids[0], stop);
  }
  return found;
}
