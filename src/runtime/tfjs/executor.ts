import * as tf from "@tensorflow/tfjs-core";
import { throwIfAborted } from "../../errors.ts";
import { plainMaths } from "../../maths/plain/plain-maths.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import type { KvType } from "../../model/kv-type.ts";
import type { LowRankPart } from "../../model/low-rank.ts";
import { readOutputVectors } from "../../model/output-vectors.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import { EXPAND_BYTES } from "../../model/workspace.ts";
import { Adapters } from "../adapters.ts";
import { embedRows } from "../embed-rows.ts";
import { type Executor, type RunBlocksOptions, skippedAt } from "../executor.ts";
import type { ExecutorInfo, Residency } from "../executor-info.ts";
import type { AnswersOptions, HeadAnswers } from "../head-answers.ts";
import { answersByLogits, answersFor } from "../head-answers.ts";
import type { ExitHead, LogitsOptions } from "../heads.ts";
import { checkExitHead, OUTPUT_HEAD } from "../heads.ts";
import { type BlockInputs, InputBuffers } from "../input-capture.ts";
import type { KvCache, RowSpan } from "../kv-cache.ts";
import { Named } from "../named.ts";
import { type LoadedAdapter, loadAdapter } from "./adapter.ts";
import { type BackendOptions, openBackend } from "./backend.ts";
import { BlockStore } from "./block-store.ts";
import type { BlockWeights } from "./block-weights.ts";
import { type BlockRun, type RunBuffers, runBlock, type SequenceRows } from "./decoder.ts";
import { loadExitHead, type NormedHead, normedHead } from "./exit-head.ts";
import { createWideningBuffers, PagedKvCache } from "./kv-cache.ts";
import { openOutputHead } from "./output-head.ts";
import { distinctRopes, PassRopes } from "./rope-rows.ts";
import { checkedSpans, chunksOf } from "./sequence-rows.ts";
import { TensorSet } from "./tensor-set.ts";

export interface TfjsOptions extends BackendOptions {
  /** Default `packed`; dense weights are then streamed. */
  readonly residency?: Residency | undefined;
  /** Bytes of an expanded tile, in f32. */
  readonly expandBytes?: number | undefined;
  /** Why tfjs was chosen, where there was a choice: said before why the backend was. */
  readonly because?: string | undefined;
}

/** What the tfjs executor holds besides its source. */
interface Parts {
  readonly info: ExecutorInfo;
  readonly store: BlockStore;
  readonly outputHead: NormedHead;
  readonly adapters: Adapters<LoadedAdapter>;
  readonly tensors: TensorSet;
  readonly buffers: RunBuffers;
}

/**
 * Opens an executor on TensorFlow.js over any weight source; the source stays the caller's to close.
 * Throws UserError BACKEND where a backend asked for by name does not work.
 */
export async function createTfjsExecutor(source: WeightSource, options: TfjsOptions = {}): Promise<TfjsExecutor> {
  const { backend, reason: whyBackend, threads } = await openBackend(options);
  const reason = options.because === undefined ? whyBackend : `${options.because}; ${whyBackend}`;
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
    const { norm, headBias } = await readOutputVectors(source);
    const finalNorm = {
      weight: tensors.add(tf.tensor1d(norm.weight)),
      bias: norm.bias && tensors.add(tf.tensor1d(norm.bias)),
    };
    const adapters = new Adapters(source, async (_, parts) => loadAdapter(spec, parts));
    await adapters.takeOwn();
    return new TfjsExecutor(source, {
      info: { executor: "tfjs", backend, isa: null, reason, threads, activations: "f32", residency },
      store,
      outputHead: normedHead(await openOutputHead(source, headBias, residency, expand), spec.finalNorm, finalNorm),
      tensors,
      adapters,
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
  readonly maths = plainMaths;
  private readonly source: WeightSource;
  private readonly parts: Parts;
  private readonly ropeKeys: readonly (string | null)[];
  private readonly heads = new Named<NormedHead>("head");
  private readonly inputs: InputBuffers;

  constructor(source: WeightSource, parts: Parts) {
    this.spec = source.spec;
    this.info = parts.info;
    this.source = source;
    this.parts = parts;
    this.ropeKeys = distinctRopes(source.spec);
    this.inputs = new InputBuffers(source.spec);
    this.heads.put(OUTPUT_HEAD, parts.outputHead);
  }

  createCache({ maxTokens, kvType = "f16" }: { maxTokens: number; kvType?: KvType }): KvCache {
    return new PagedKvCache(this.spec, { maxTokens, kvType });
  }

  async embed(ids: Int32Array): Promise<tf.Tensor2D> {
    const width = this.spec.hiddenSize;
    const data = new Float32Array(ids.length * width);
    await embedRows(this.source, ids, data);
    return tf.tensor2d(data, [ids.length, width]);
  }

  async runBlocks(
    hidden: tf.Tensor2D,
    from: number,
    to: number,
    spans: readonly RowSpan[],
    { skip, adapter: adapterName, inputs, signal, logits, answers }: RunBlocksOptions = {},
  ): Promise<tf.Tensor2D> {
    const adapter = this.parts.adapters.of(adapterName)?.loaded;
    const chunks = chunksOf(checkedSpans(spans, hidden.shape[0])).map((sequences) => ({
      sequences,
      ropes: new PassRopes(this.spec, this.ropeKeys, sequences),
    }));
    let current = hidden;
    try {
      for (let block = from; block < to; block++) {
        throwIfAborted(signal);
        const skipped = skippedAt(skip, block);
        const choice = {
          skipAttention: skipped.attention,
          skipMlp: skipped.mlp,
          adapter: adapter?.blocks.get(block) ?? null,
        };
        const run = async (capture?: BlockInputs) => {
          const next = await this.parts.store.use(block, (weights) =>
            this.runChunks(current, block, weights, chunks, { ...choice, capture }),
          );
          if (current !== hidden) current.dispose();
          current = next;
        };
        if (inputs) await this.inputs.capture({ block, rows: hidden.shape[0], skipped }, inputs, run);
        else await run();
      }
      this.source.assertIntact?.();
      if (logits) await this.logits(current, logits.rows, { into: logits.into });
      if (answers) await this.answers(current, answers.rows, answers);
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
    { norm = true, head: name = OUTPUT_HEAD, into }: LogitsOptions = {},
  ): Promise<Float32Array> {
    const { head, normed, adapted } = this.heads.get(name);
    const input = tf.tidy(() => {
      const chosen = rows ? tf.gather(hidden, tf.tensor1d(rows, "int32")) : tf.clone(hidden);
      return adapted(norm ? normed(chosen) : chosen);
    });
    try {
      const found = await head.logits(input, into);
      this.source.assertIntact?.();
      return found;
    } finally {
      input.dispose();
    }
  }

  /** By way of the logits, a bounded number at a time. */
  async answers(hidden: tf.Tensor2D, rows: Int32Array, { head, into }: AnswersOptions): Promise<HeadAnswers> {
    const width = this.heads.get(head).head.rows;
    const answers = answersFor(rows.length, into);
    return answersByLogits(rows, width, answers, (some) => this.logits(hidden, some, { head }));
  }

  async loadAdapter(name: string, parts: readonly LowRankPart[]): Promise<void> {
    (await this.parts.adapters.put(name, parts))?.tensors.dispose();
  }

  async loadHead(name: string, head: ExitHead): Promise<void> {
    checkExitHead(this.spec, name, head);
    this.heads.put(name, loadExitHead(head, this.parts.buffers.expand))?.dispose();
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

  stack(parts: readonly tf.Tensor2D[]): tf.Tensor2D {
    return tf.concat([...parts], 0);
  }

  release(hidden: tf.Tensor2D): void {
    hidden.dispose();
  }

  async dispose(): Promise<void> {
    for (const { tensors } of this.parts.adapters.takeAll()) tensors.dispose();
    for (const head of this.heads.takeAll()) head.dispose();
    this.parts.store.dispose();
    this.parts.tensors.dispose();
  }

  /** One block over all rows, a chunk at a time, so that its activations stay within the workspace. */
  private runChunks(
    hidden: tf.Tensor2D,
    block: number,
    weights: BlockWeights,
    chunks: readonly { sequences: readonly SequenceRows[]; ropes: PassRopes }[],
    choice: Pick<BlockRun, "skipAttention" | "skipMlp" | "adapter" | "capture">,
  ): tf.Tensor2D {
    const ropes = chunks.map((chunk) => chunk.ropes.of(block));
    return tf.tidy(() => {
      let first = 0;
      const outputs = chunks.map(({ sequences }, i) => {
        const rows = sequences.reduce((sum, { count }) => sum + count, 0);
        const input = chunks.length === 1 ? hidden : tf.slice(hidden, [first, 0], [rows, this.spec.hiddenSize]);
        first += rows;
        const run = { block, sequences, rope: ropes[i], ...choice, buffers: this.parts.buffers };
        const output = runBlock(input, this.spec.blocks[block], weights, run);
        return output === hidden ? tf.clone(output) : output;
      });
      return outputs.length === 1 ? outputs[0] : tf.concat(outputs, 0);
    });
  }
}
