import { throwIfAborted } from "../errors.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { KvType } from "../model/kv-type.ts";
import { PROMPT_CHUNK_ROWS } from "../model/workspace.ts";
import type { PassRows } from "../passes/rows.ts";
import { type MovingRows, moveRows, runRows, startRows } from "../passes/run-rows.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor, RunBlocksOptions } from "../runtime/executor.ts";
import type { HeadAnswers } from "../runtime/head-answers.ts";
import { OUTPUT_HEAD } from "../runtime/heads.ts";
import type { KvCache } from "../runtime/kv-cache.ts";
import { Random } from "../tensor/random.ts";

const FIRST = Int32Array.of(0);

/** What a climb in stages calls. */
export interface ClimbHooks {
  readonly around: (stage: number, work: () => Promise<void>) => Promise<void>;
  readonly between: (stage: number, hidden: unknown) => Promise<void>;
  /** Room for what the output head says of every row after the last stage. */
  readonly answers: HeadAnswers;
}

/** A sequence of random ids in a cache, for timing single passes at a given length. Close it. */
export class BenchSequence {
  readonly cache: KvCache;
  private readonly executor: AnyExecutor;
  private readonly ids: Int32Array;
  private length = 0;

  /** Passes may reach `maxTokens` positions. */
  constructor(executor: AnyExecutor, maxTokens: number, kvType: KvType) {
    this.executor = executor;
    this.cache = executor.createCache({ maxTokens, kvType });
    this.cache.reserve(maxTokens);
    this.ids = randomIds(executor.spec, maxTokens, "sequence");
  }

  /** Computes the first `length` positions, as a prompt is. */
  async fill(length: number, { signal, onProgress }: WorkOptions = {}): Promise<void> {
    while (this.length < length) {
      throwIfAborted(signal);
      const to = Math.min(length, this.length + PROMPT_CHUNK_ROWS);
      this.executor.release(await this.run(to - this.length, this.executor.spec.blocks.length, { signal }));
      this.length = to;
      onProgress?.({ stage: "filling the context", done: to, total: length });
    }
  }

  /** Runs the next `rows` positions through blocks [0, blocks), calls `use` with what comes out, and forgets them. */
  async pass(
    rows: number,
    blocks: number,
    { use, ...options }: RunBlocksOptions & { readonly use?: (hidden: unknown) => Promise<unknown> } = {},
  ): Promise<void> {
    const hidden = await this.run(rows, blocks, options);
    try {
      await use?.(hidden);
    } finally {
      this.executor.release(hidden);
      this.cache.truncate(this.length);
    }
  }

  /**
   * Runs the next `rows` positions up the blocks in stages, [0, stages[0]), [stages[0], stages[1]) …, and forgets them.
   * Each stage's work, embedding or output head included, goes through `around`, which does it once; `between` sees the
   * hidden state after each stage but the last.
   */
  async climb(rows: number, stages: readonly number[], { around, between, answers }: ClimbHooks): Promise<void> {
    const { executor, cache, length } = this;
    const wanted = { head: OUTPUT_HEAD, rows: Int32Array.from({ length: rows }, (_, row) => row), into: answers };
    let moving: MovingRows | undefined;
    try {
      for (const [i, to] of stages.entries()) {
        await around(i, async () => {
          moving ??= await startRows(executor, this.next(rows));
          await moveRows(executor, moving, to, i === stages.length - 1 ? { answers: wanted } : {});
        });
        if (i < stages.length - 1) await between(i, moving?.hidden);
      }
    } finally {
      if (moving) executor.release(moving.hidden);
      cache.truncate(length);
    }
  }

  /** Generates `count` positions one after the other, with logits for each, and forgets them. */
  async generate(count: number, logits: Float32Array): Promise<void> {
    const { executor } = this;
    const started = this.length;
    for (let i = 0; i < count; i++) {
      executor.release(await this.run(1, executor.spec.blocks.length, { logits: { rows: FIRST, into: logits } }));
      this.length++;
    }
    this.length = started;
    this.cache.truncate(started);
  }

  close(): void {
    this.cache.dispose();
  }

  private run(rows: number, blocks: number, options: RunBlocksOptions = {}): Promise<unknown> {
    return runRows(this.executor, this.next(rows), options, blocks);
  }

  private next(rows: number): PassRows {
    const { cache, length } = this;
    return { ids: this.ids.slice(length, length + rows), spans: [{ cache, position: length, count: rows }] };
  }
}

/** Ids drawn from the whole vocabulary; the same for the same `name`. */
export function randomIds({ vocabSize }: DecoderSpec, count: number, name: string): Int32Array {
  const random = new Random(0).fork(name);
  return Int32Array.from({ length: count }, () => random.nextInt(vocabSize));
}
