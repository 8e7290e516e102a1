import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { DecoderSpec } from "../../src/model/decoder-spec.ts";
import type { Tokenizer } from "../../src/model/tokenizer.ts";
import type { Executor, RunBlocksOptions } from "../../src/runtime/executor.ts";
import type { LogitsOptions } from "../../src/runtime/heads.ts";
import type { KvCache, RowSpan } from "../../src/runtime/kv-cache.ts";

/** What the cache of a scripted executor knows of every position: its id and the regime it was computed in. */
interface Entry {
  readonly id: number;
  readonly regime: string;
}

/** A cache of ids that keeps the rules of the contract: no reserve into another regime unless empty, copies on fork. */
export class ScriptedCache implements KvCache {
  readonly kvType = "f32";
  readonly maxTokens: number;
  entries: Entry[] = [];
  reserved = 0;
  disposed = false;
  private readonly regimeOf: (tokens: number) => string;

  constructor(maxTokens: number, regimeOf: (tokens: number) => string) {
    this.maxTokens = maxTokens;
    this.regimeOf = regimeOf;
  }

  length(): number {
    return this.entries.length;
  }

  truncate(length: number): void {
    this.entries.length = Math.min(length, this.entries.length);
  }

  fork(): ScriptedCache {
    const copy = new ScriptedCache(this.maxTokens, this.regimeOf);
    copy.entries = [...this.entries];
    copy.reserved = this.reserved;
    return copy;
  }

  reserve(totalTokens: number): void {
    if (this.needsRebuild(totalTokens)) throw new Error("reserve: other regime");
    this.reserved = totalTokens;
  }

  needsRebuild(totalTokens: number): boolean {
    return this.entries.length > 0 && this.regimeOf(totalTokens) !== this.regime();
  }

  regime(): string {
    return this.regimeOf(this.reserved);
  }

  dispose(): void {
    this.disposed = true;
  }
}

/** A hidden state: the ids of its rows and, once run, the cache that they are in. */
export interface ScriptedHidden {
  readonly ids: Int32Array;
  readonly cache: ScriptedCache | null;
  readonly position: number;
}

export interface Script {
  /** The id that follows, given every id before it and the regime of the first one. */
  readonly next: (ids: readonly number[], regime: string) => number;
  readonly regimeOf?: (tokens: number) => string;
  readonly vocabSize?: number;
  readonly eosTokens?: number[];
  /** Called with each chunk before it is computed; may throw or abort. */
  readonly onChunk?: (count: number) => void;
}

/**
 * An executor without weights: says what a script says, checks positions, counts what it is fed and what is not
 * released.
 */
export class ScriptedExecutor implements Executor<ScriptedHidden> {
  readonly spec: DecoderSpec;
  readonly info = {
    executor: "tfjs",
    backend: "script",
    isa: null,
    reason: "test",
    threads: 1,
    activations: "f32",
    residency: "packed",
  } as const;
  readonly maths = plainMaths;
  /** Rows of each runBlocks call. */
  readonly chunks: number[] = [];
  live = 0;
  private readonly script: Script;

  constructor(script: Script) {
    this.script = script;
    this.spec = {
      family: "script",
      vocabSize: script.vocabSize ?? 256,
      hiddenSize: 1,
      embeddingScale: 1,
      maxPositions: 4096,
      tied: true,
      headBias: false,
      logitFactor: 1,
      blocks: [
        {
          residual: "sequential",
          residualFactor: 1,
          attentionNorms: { pre: null, post: null },
          attention: null,
          mlpNorms: { pre: null, post: null },
          mlp: null,
        },
      ],
      finalNorm: { kind: "rms", size: 1, eps: 1e-5 },
      bosToken: null,
      eosTokens: script.eosTokens ?? [],
    };
  }

  createCache({ maxTokens }: { maxTokens: number }): ScriptedCache {
    return new ScriptedCache(maxTokens, this.script.regimeOf ?? (() => "short"));
  }

  async embed(ids: Int32Array): Promise<ScriptedHidden> {
    this.live++;
    return { ids, cache: null, position: 0 };
  }

  async runBlocks(
    hidden: ScriptedHidden,
    _from: number,
    _to: number,
    [span]: readonly RowSpan[],
    { logits }: RunBlocksOptions = {},
  ) {
    const { cache, position, count } = span;
    if (!(cache instanceof ScriptedCache)) throw new Error("not a scripted cache");
    if (cache.length() !== position || count !== hidden.ids.length) throw new Error("rows do not follow the cache");
    if (position + count > cache.reserved || cache.reserved > cache.maxTokens) throw new Error("not reserved");
    this.script.onChunk?.(count);
    this.chunks.push(count);
    for (const id of hidden.ids) cache.entries.push({ id, regime: cache.regime() });
    this.live++;
    const output = { ids: hidden.ids, cache, position };
    if (logits) await this.logits(output, logits.rows, logits);
    return output;
  }

  async logits(
    hidden: ScriptedHidden,
    rows: Int32Array = new Int32Array(),
    { into }: LogitsOptions = {},
  ): Promise<Float32Array> {
    const { cache, position } = hidden;
    if (!cache) throw new Error("logits of rows that were not run");
    const length = rows.length * this.spec.vocabSize;
    const out = into?.length === length ? into.fill(0) : new Float32Array(length);
    rows.forEach((row, i) => {
      const before = cache.entries.slice(0, position + row + 1);
      if (new Set(before.map((entry) => entry.regime)).size > 1) throw new Error("two regimes in one cache");
      const next = this.script.next(
        before.map((entry) => entry.id),
        before[0].regime,
      );
      out[i * this.spec.vocabSize + next] = 1;
    });
    return out;
  }

  async loadAdapter(): Promise<void> {
    throw new Error("a script has no adapters");
  }

  async answers(): Promise<never> {
    throw new Error("a script gives no answers");
  }

  async loadHead(): Promise<void> {
    throw new Error("a script has no exit heads");
  }

  release(): void {
    this.live--;
  }

  async read(): Promise<Float32Array> {
    throw new Error("not scripted");
  }

  write(): ScriptedHidden {
    throw new Error("not scripted");
  }

  slice(): ScriptedHidden {
    throw new Error("not scripted");
  }

  stack(): ScriptedHidden {
    throw new Error("not scripted");
  }

  async dispose(): Promise<void> {}
}

/** End-of-sequence token of the letter tokenizer; its text is "</s>". */
export const END = 3;

/** One id a UTF-16 unit below 256; "</s>" is the special token 3. */
export const LETTERS: Tokenizer = {
  label: "letters",
  vocabSize: 256,
  beginning: [],
  bosToken: null,
  eosToken: END,
  eosTokens: [END],
  chatTemplate: null,
  specialTexts: { eos_token: "</s>" },
  files: [],
  remarks: [],
  encode: (text) =>
    Int32Array.from(text.match(/<\/s>|[\s\S]/g) ?? [], (part) => (part === "</s>" ? END : part.charCodeAt(0))),
  decode: (ids, { skipSpecial = false } = {}) =>
    Array.from(ids, (id) => (id === END ? (skipSpecial ? "" : "</s>") : String.fromCharCode(id))).join(""),
};

/** Always the next letter of `text` after the prompt, then the end of the sequence. */
export function sayAfter(promptTokens: number, text: string): Script["next"] {
  return (ids) => (ids.length - promptTokens < text.length ? text.charCodeAt(ids.length - promptTokens) : END);
}
