import * as tf from "@tensorflow/tfjs-core";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import { EXPAND_BYTES, PROMPT_CHUNK_ROWS } from "../../model/workspace.ts";
import type { Executor, ExecutorInfo, KvCache, KvType, Residency, RowSpan, RunBlocksOptions } from "../executor.ts";
import { type BackendOptions, openBackend } from "./backend.ts";
import { BlockStore } from "./block-store.ts";
import type { BlockWeights, NormWeights } from "./block-weights.ts";
import { normalize, type RunBuffers, runBlock, type SequenceRows } from "./decoder.ts";
import { createWideningBuffers, PagedKvCache } from "./kv-cache.ts";
import { loadNorm } from "./load-weights.ts";
import { type OutputHead, openOutputHead } from "./output-head.ts";
import { distinctRopes, PassRopes } from "./rope-rows.ts";
import { TensorSet } from "./tensor-set.ts";

export interface TfjsOptions extends BackendOptions {
  /** Default `packed`; dense weights are then streamed. */
  readonly residency?: Residency | undefined;
  /** Bytes of an expanded tile, in f32. */
  readonly expandBytes?: number | undefined;
}

/** What the tfjs executor holds besides its source. */
interface Parts {
  readonly info: ExecutorInfo;
  readonly store: BlockStore;
  readonly finalNorm: NormWeights | null;
  readonly head: OutputHead;
  readonly tensors: TensorSet;
  readonly buffers: RunBuffers;
}

/**
 * Opens an executor on TensorFlow.js over any weight source; the source stays the caller's to close.
 * Throws UserError BACKEND where a backend asked for by name does not work.
 */
export async function createTfjsExecutor(source: WeightSource, options: TfjsOptions = {}): Promise<TfjsExecutor> {
  const { backend, reason, threads } = await openBackend(options);
  const { spec } = source;
  const wanted = options.residency ?? "packed";
  const longestRow = Math.max(
    spec.hiddenSize,
    ...spec.blocks.map(({ mlp, attention }) => Math.max(mlp?.down.cols ?? 1, attention?.o.cols ?? 1)),
  );
  const expand = new Float32Array(Math.max(longestRow, Math.floor((options.expandBytes ?? EXPAND_BYTES) / 4)));
  const store = new BlockStore(source, wanted);
  const tensors = new TensorSet();
  try {
    const dense = wanted === "packed" && spec.blocks.length > 0 && !(await store.isPacked(0));
    if (wanted === "resident") await store.loadAll();
    const residency = dense ? "streamed" : wanted;
    return new TfjsExecutor(source, {
      info: { executor: "tfjs", backend, reason, threads, residency },
      store,
      finalNorm: await loadNorm(source, "finalNorm", spec.finalNorm, tensors),
      head: await openOutputHead(source, residency, expand),
      tensors,
      buffers: { expand, widening: createWideningBuffers() },
    });
  } catch (error) {
    store.dispose();
    tensors.dispose();
    throw error;
  }
}

/** Runs a decoder on TensorFlow.js. Hidden states are tensors [rows, hiddenSize] that the caller owns. */
export class TfjsExecutor implements Executor<tf.Tensor2D> {
  readonly spec: DecoderSpec;
  readonly info: ExecutorInfo;
  private readonly source: WeightSource;
  private readonly parts: Parts;
  private readonly ropeKeys: readonly (string | null)[];

  constructor(source: WeightSource, parts: Parts) {
    this.spec = source.spec;
    this.info = parts.info;
    this.source = source;
    this.parts = parts;
    this.ropeKeys = distinctRopes(source.spec);
  }

  createCache({ maxTokens, kvType = "f16" }: { maxTokens: number; kvType?: KvType }): KvCache {
    return new PagedKvCache(this.spec, { maxTokens, kvType });
  }

  async embed(ids: Int32Array): Promise<tf.Tensor2D> {
    const width = this.spec.hiddenSize;
    const rows = new Map<number, Float32Array>();
    for (const id of new Set(ids)) rows.set(id, await this.source.readRows("embedding", id, id + 1));
    const data = new Float32Array(ids.length * width);
    ids.forEach((id, i) => {
      data.set(rows.get(id) ?? [], i * width);
    });
    return tf.tensor2d(data, [ids.length, width]);
  }

  async runBlocks(
    hidden: tf.Tensor2D,
    from: number,
    to: number,
    spans: readonly RowSpan[],
    { skip }: RunBlocksOptions = {},
  ): Promise<tf.Tensor2D> {
    const chunks = chunksOf(checkedSpans(spans, hidden.shape[0])).map((sequences) => ({
      sequences,
      ropes: new PassRopes(this.spec, this.ropeKeys, sequences),
    }));
    let current = hidden;
    try {
      for (let block = from; block < to; block++) {
        const flags = { skipAttention: skip?.attention[block] ?? false, skipMlp: skip?.mlp[block] ?? false };
        const next = await this.parts.store.use(block, (weights) =>
          this.runChunks(current, block, weights, chunks, flags),
        );
        if (current !== hidden) current.dispose();
        current = next;
      }
      return current === hidden ? tf.clone(hidden) : current;
    } catch (error) {
      if (current !== hidden) current.dispose();
      throw error;
    } finally {
      for (const { ropes } of chunks) ropes.dispose();
    }
  }

  async logits(
    hidden: tf.Tensor2D,
    rows?: Int32Array,
    { norm = true }: { norm?: boolean } = {},
  ): Promise<Float32Array> {
    const input = tf.tidy(() => {
      const chosen = rows ? tf.gather(hidden, tf.tensor1d(rows, "int32")) : tf.clone(hidden);
      return norm ? this.finalNormed(chosen) : chosen;
    });
    try {
      return await this.parts.head.logits(input);
    } finally {
      input.dispose();
    }
  }

  /** The output head's input: [rows, hiddenSize]. */
  finalNormed(hidden: tf.Tensor2D): tf.Tensor2D {
    return tf.tidy(() => normalize(hidden, this.spec.finalNorm, this.parts.finalNorm));
  }

  async read(hidden: tf.Tensor2D): Promise<Float32Array> {
    // A copy: the cpu backend gives out its own array.
    return hidden.dataSync<"float32">().slice();
  }

  write(data: Float32Array, rows: number): tf.Tensor2D {
    // A copy: a tensor may lie over the array that it was made from.
    return tf.tensor2d(data.slice(), [rows, this.spec.hiddenSize]);
  }

  slice(hidden: tf.Tensor2D, from: number, to: number): tf.Tensor2D {
    return tf.slice(hidden, [from, 0], [to - from, this.spec.hiddenSize]);
  }

  release(hidden: tf.Tensor2D): void {
    hidden.dispose();
  }

  async dispose(): Promise<void> {
    this.parts.store.dispose();
    this.parts.head.dispose();
    this.parts.tensors.dispose();
  }

  /** One block over all rows, a chunk at a time, so that its activations stay within the workspace. */
  private runChunks(
    hidden: tf.Tensor2D,
    block: number,
    weights: BlockWeights,
    chunks: readonly { sequences: readonly SequenceRows[]; ropes: PassRopes }[],
    flags: { skipAttention: boolean; skipMlp: boolean },
  ): tf.Tensor2D {
    const ropes = chunks.map((chunk) => chunk.ropes.of(block));
    return tf.tidy(() => {
      let first = 0;
      const outputs = chunks.map(({ sequences }, i) => {
        const rows = sequences.reduce((sum, { count }) => sum + count, 0);
        const input = chunks.length === 1 ? hidden : tf.slice(hidden, [first, 0], [rows, this.spec.hiddenSize]);
        first += rows;
        const run = { block, sequences, rope: ropes[i], ...flags, buffers: this.parts.buffers };
        const output = runBlock(input, this.spec.blocks[block], weights, run);
        return output === hidden ? tf.clone(output) : output;
      });
      return outputs.length === 1 ? outputs[0] : tf.concat(outputs, 0);
    });
  }
}

/** The spans with their caches as this executor's own; throws where they do not cover the rows or cannot be run. */
function checkedSpans(spans: readonly RowSpan[], rows: number): SequenceRows[] {
  const covered = spans.reduce((sum, { count }) => sum + count, 0);
  if (covered !== rows) throw new Error(`runBlocks: the spans cover ${covered} rows of ${rows}`);
  return spans.map(({ cache, position, count }) => {
    if (count < 1) throw new Error("runBlocks: a span of no rows");
    if (cache === null) {
      if (position !== 0) throw new Error(`runBlocks: a span without a cache starts at position ${position}`);
      return { cache, position, count };
    }
    if (!(cache instanceof PagedKvCache)) throw new Error("runBlocks: the cache is of another executor");
    cache.cover(position + count);
    return { cache, position, count };
  });
}

/** Groups of at most PROMPT_CHUNK_ROWS rows; a sequence without a cache is never cut. */
function chunksOf(sequences: readonly SequenceRows[]): SequenceRows[][] {
  const chunks: SequenceRows[][] = [];
  let room = 0;
  const add = (sequence: SequenceRows) => {
    if (sequence.count > room) {
      chunks.push([]);
      room = PROMPT_CHUNK_ROWS;
    }
    chunks[chunks.length - 1].push(sequence);
    room -= sequence.count;
  };
  for (const sequence of sequences) {
    if (!sequence.cache) {
      add(sequence);
      continue;
    }
    for (let done = 0; done < sequence.count; done += PROMPT_CHUNK_ROWS) {
      add({
        ...sequence,
        position: sequence.position + done,
        count: Math.min(PROMPT_CHUNK_ROWS, sequence.count - done),
      });
    }
  }
  return chunks;
}
