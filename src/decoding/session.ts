import { throwIfAborted, UserError } from "../errors.ts";
import type { KvType } from "../model/kv-type.ts";
import { PROMPT_CHUNK_ROWS } from "../model/workspace.ts";
import { explainingNotFinite } from "../passes/find-not-finite.ts";
import { runRows } from "../passes/run-rows.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { traitsOf } from "../runtime/executors.ts";
import type { KvCache } from "../runtime/kv-cache.ts";
import { KeptState } from "./kept-state.ts";
import { OutputRows, type WantedOfOutput } from "./output-rows.ts";

export interface SessionOptions {
  /** Positions that the sequence may reach: the artifact's context. */
  readonly contextTokens: number;
  readonly kvType?: KvType | undefined;
  /** Rows of a prompt that pass through the blocks at a time; default: PROMPT_CHUNK_ROWS. */
  readonly promptChunk?: number | undefined;
}

/** How ids are fed. */
export interface FeedOptions extends WorkOptions {
  /** An executor that runs the passes in the session's place: over the same caches, with an output head of its own. */
  readonly through?: AnyExecutor | undefined;
}

/**
 * One sequence being decoded: an executor, its KV cache and the ids so far. Close it when done; the executor stays
 * open.
 */
export class Session {
  readonly executor: AnyExecutor;
  readonly contextTokens: number;
  /** What drafters have learned here. */
  readonly kept = new KeptState();
  private readonly cache: KvCache;
  private readonly promptChunk: number;
  private tokens: number[];
  /** Positions that every block of the cache holds; below `tokens.length` only after a rebuild was interrupted. */
  private cached: number;
  /** What every feed gives out, so that a token allocates no array of the vocabulary's size. */
  private readonly output: OutputRows;

  constructor(
    executor: AnyExecutor,
    options: SessionOptions,
    copyOf?: { cache: KvCache; ids: number[]; cached: number },
  ) {
    this.executor = executor;
    this.contextTokens = options.contextTokens;
    this.promptChunk = options.promptChunk ?? PROMPT_CHUNK_ROWS;
    this.cache = copyOf?.cache ?? createCache(executor, options);
    this.tokens = copyOf?.ids ?? [];
    this.cached = copyOf?.cached ?? 0;
    this.output = new OutputRows(executor);
  }

  /** Every id fed so far, in order. */
  get ids(): readonly number[] {
    return this.tokens;
  }

  get length(): number {
    return this.tokens.length;
  }

  get kvType(): KvType {
    return this.cache.kvType;
  }

  /**
   * Appends ids and returns the logits of the last one, [vocabSize]: an array of the session's own, which the next feed
   * overwrites. Where the new length changes the rotary regime (longrope) the whole sequence is computed anew.
   * After an abort or a failure the session holds the ids that it held before. Throws UserError CONTEXT beyond the
   * context, and LOGITS_NOT_FINITE, which says where in the model they come from.
   */
  async feed(ids: ArrayLike<number>, options: WorkOptions = {}): Promise<Float32Array> {
    return (await this.feedFor("logits", ids, options)).logits(0);
  }

  /**
   * As `feed`, and gives only what the output head says of the last id, in the session's own arrays: all logits, or the
   * most likely id.
   */
  async feedFor(
    wanted: WantedOfOutput,
    ids: ArrayLike<number>,
    { through = this.executor, signal, onProgress }: FeedOptions = {},
  ): Promise<OutputRows> {
    if (ids.length === 0) throw new Error("Session.feed: no ids");
    const before = this.tokens.length;
    const total = before + ids.length;
    if (total > this.contextTokens) throw contextError(total, 0, this.contextTokens);
    if (this.cache.needsRebuild(total)) this.forget(0);
    this.cache.reserve(total);
    for (let i = 0; i < ids.length; i++) this.tokens.push(ids[i]);
    const { executor, kvType } = this;
    const lookedAt = () => [{ executor, kvType, signal, sequences: [this.idsBetween(0, total)] }];
    try {
      await explainingNotFinite(lookedAt, () => this.runTo(total, wanted, { through, signal, onProgress }));
      return this.output;
    } catch (error) {
      this.tokens.length = before;
      this.forget(Math.min(before, this.cached));
      throw error;
    }
  }

  /** The cache, for a decoder that runs blocks of coming tokens itself; it ends with `adopt` or `truncate`. */
  get kvCache(): KvCache {
    return this.cache;
  }

  /**
   * Appends ids that a decoder has run itself. Every block of the cache holds the first `complete` positions of the
   * sequence (default: all); what it holds beyond them is forgotten, and computed again by the next feed.
   */
  adopt(ids: ArrayLike<number>, complete: number = this.tokens.length + ids.length): void {
    if (complete > this.tokens.length + ids.length)
      throw new Error(`Session.adopt: ${complete} positions are too many`);
    for (let i = 0; i < ids.length; i++) this.tokens.push(ids[i]);
    this.forget(complete);
  }

  /** Forgets every id from `length` on. */
  truncate(length: number): void {
    if (length > this.tokens.length) throw new Error(`Session.truncate: ${length} of ${this.tokens.length} ids`);
    this.tokens.length = length;
    this.forget(Math.min(length, this.cached));
  }

  /** An independent session with the same contents; full pages of the cache are shared. */
  fork(): Session {
    const copyOf = { cache: this.cache.fork(), ids: [...this.tokens], cached: this.cached };
    const { contextTokens, promptChunk } = this;
    return new Session(this.executor, { contextTokens, promptChunk }, copyOf);
  }

  close(): void {
    this.cache.dispose();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Computes all positions up to the sequence's end, and looks at what the output head says of the last. */
  private async runTo(total: number, wanted: WantedOfOutput, { onProgress, ...options }: Feeding): Promise<void> {
    while (this.cached < total) {
      if (!traitsOf(this.executor.info).yields) await nextTurn();
      throwIfAborted(options.signal);
      await this.runChunk(Math.min(total, this.cached + this.promptChunk), wanted, options);
      onProgress?.({ stage: "prompt", done: this.cached, total });
    }
    this.output.check();
  }

  /** Computes positions [cached, to); asks about the last one where it is the sequence's end. */
  private async runChunk(to: number, wanted: WantedOfOutput, { through, signal }: Feeding): Promise<void> {
    const { cache } = this;
    const count = to - this.cached;
    const rows = { ids: this.idsBetween(this.cached, to), spans: [{ cache, position: this.cached, count }] };
    const atEnd = to === this.tokens.length;
    const asked = atEnd ? this.output.ask(count - 1, count, wanted) : {};
    through.release(await runRows(through, rows, { signal, ...asked }));
    this.cached = to;
  }

  private idsBetween(from: number, to: number): Int32Array {
    const ids = new Int32Array(to - from);
    for (let i = from; i < to; i++) ids[i - from] = this.tokens[i];
    return ids;
  }

  private forget(length: number): void {
    this.cache.truncate(length);
    this.cached = length;
  }
}

/** Feed options with everything said. */
type Feeding = FeedOptions & { readonly through: AnyExecutor };

function createCache(executor: AnyExecutor, options: SessionOptions): KvCache {
  const maxTokens = options.contextTokens;
  return executor.createCache(options.kvType ? { maxTokens, kvType: options.kvType } : { maxTokens });
}

/** Lets pending events run (signals, writes): some executors compute without yielding. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** Throws UserError CONTEXT where a prompt leaves no room in the context for a first token. */
export function checkPromptFits(promptTokens: number, maxTokens: number, contextTokens: number): void {
  if (promptTokens > contextTokens) throw contextError(promptTokens, maxTokens, contextTokens);
}

function contextError(promptTokens: number, maxTokens: number, contextTokens: number): UserError {
  const number = (n: number) => n.toLocaleString("en-US");
  const generate = maxTokens > 0 ? ` and ${number(maxTokens)} to generate` : "";
  return new UserError(
    "CONTEXT",
    `prompt of ${number(promptTokens)} tokens${generate}: the model's context is ${number(contextTokens)} tokens`,
    "shorten the prompt; an artifact made with a larger --context takes more",
  );
}
