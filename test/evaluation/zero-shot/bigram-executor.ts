import { expect } from "vitest";
import { plainMaths } from "../../../src/maths/plain/plain-maths.ts";
import type { AnyExecutor, Executor } from "../../../src/runtime/executor.ts";
import type { KvCache } from "../../../src/runtime/kv-cache.ts";
import { tinySpec } from "../../scoring/tiny-model.ts";

/** What a bigram executor was asked to do. */
export interface BigramLog {
  /** Rows of every pass. */
  readonly passes: number[];
  /** Caches and hidden states that are not given back. */
  live: number;
}

/** A cache that knows its ids, and that long sequences have a regime of their own. */
class BigramCache implements KvCache {
  readonly kvType = "f32";
  readonly maxTokens: number;
  ids: number[] = [];
  private readonly log: BigramLog;
  private readonly longFrom: number;
  private reserved = 0;

  constructor(maxTokens: number, log: BigramLog, longFrom: number) {
    this.maxTokens = maxTokens;
    this.log = log;
    this.longFrom = longFrom;
    log.live++;
  }
  length = () => this.ids.length;
  truncate = (length: number) => {
    this.ids.length = length;
  };
  fork(): BigramCache {
    const copy = new BigramCache(this.maxTokens, this.log, this.longFrom);
    copy.ids = [...this.ids];
    copy.reserved = this.reserved;
    return copy;
  }
  reserve(total: number): void {
    expect(total).toBeLessThanOrEqual(this.maxTokens);
    expect(this.needsRebuild(total)).toBe(false);
    this.reserved = total;
  }
  needsRebuild(total: number): boolean {
    return this.ids.length > 0 && total >= this.longFrom !== this.reserved >= this.longFrom;
  }
  dispose = () => {
    this.log.live--;
  };
}

/**
 * An executor of known distributions: the logits after ids a, b are `table[(a + b) mod rows]` as natural logarithms, so
 * what the cache holds matters. Checks positions.
 */
export function bigramExecutor(table: readonly number[][], log: BigramLog, longFrom = 1000): AnyExecutor {
  const make = (ids: Int32Array) => {
    log.live++;
    return ids;
  };
  const executor: Executor<Int32Array> = {
    spec: { ...tinySpec(1), vocabSize: table[0].length },
    info: {
      ...{ executor: "tfjs", backend: "bigram", isa: null, reason: "test", threads: 1 },
      ...{ activations: "f32", residency: "packed" },
    },
    maths: plainMaths,
    createCache: ({ maxTokens }) => new BigramCache(maxTokens, log, longFrom),
    embed: async (ids) => make(ids.slice()),
    runBlocks: async (hidden, _from, _to, spans) => {
      log.passes.push(hidden.length);
      const out = make(new Int32Array(hidden.length));
      let at = 0;
      for (const { cache, position, count } of spans) {
        if (!(cache instanceof BigramCache)) throw new Error("a span without a cache");
        expect(cache.ids).toHaveLength(position);
        for (let i = 0; i < count; i++, at++) {
          out[at] = hidden[at] + (cache.ids.at(-1) ?? 0);
          cache.ids.push(hidden[at]);
        }
      }
      expect(at).toBe(hidden.length);
      return out;
    },
    logits: async (hidden, rows = Int32Array.from(hidden.keys())) =>
      Float32Array.from([...rows].flatMap((row) => table[hidden[row] % table.length].map(Math.log))),
    loadAdapter: async () => {},
    answers: async () => {
      throw new Error("no answers");
    },
    loadHead: async () => {},
    read: async () => new Float32Array(0),
    write: () => make(new Int32Array(0)),
    slice: (hidden) => hidden,
    stack: ([first]) => first,
    release: () => {
      log.live--;
    },
    dispose: async () => {},
  };
  return executor;
}
