import { Interrupted, throwIfAborted } from "../../errors.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import type { NativeContext, NativeEngine, NativeLowRank, NativeModel, NativePass } from "../../native/addon.ts";
import { openEngine } from "../../native/load.ts";
import { checkAdapter, checkExitHead, OUTPUT_HEAD } from "../additions-check.ts";
import type {
  ActivationType,
  Executor,
  ExecutorInfo,
  ExitHead,
  KvType,
  LogitsOptions,
  LowRankPart,
  Residency,
  RowSpan,
  RunBlocksOptions,
} from "../executor.ts";
import { BlockStore } from "./block-store.ts";
import { HiddenPool, type NativeHidden } from "./hidden.ts";
import { cacheShape, NativeKvCache } from "./kv-cache.ts";
import { nativeSpans } from "./native-spans.ts";
import { type Head, loadExitHead, openOutput } from "./output-head.ts";
import { WeightLoader } from "./weights.ts";

export interface NativeOptions {
  /** Instruction set; default: the fastest that works here. */
  readonly isa?: string | undefined;
  /** Default: the physical cores. */
  readonly threads?: number | undefined;
  /** In products with integer codecs; default `int8`. Float codecs always take f32. */
  readonly activations?: ActivationType | undefined;
  /** Default `packed`: packed weights in place, dense ones streamed; `resident`: dense ones stay too. */
  readonly residency?: Residency | undefined;
  /** Why this executor was chosen, for people. */
  readonly reason?: string | undefined;
}

/** What the native executor holds besides its source. */
interface Parts {
  readonly info: ExecutorInfo;
  readonly engine: NativeEngine;
  readonly model: NativeModel;
  readonly context: NativeContext;
  readonly loader: WeightLoader;
  readonly store: BlockStore;
  readonly output: Head;
  readonly embeds: boolean;
}

/**
 * Opens an executor of the native engine over any weight source; the source stays the caller's to close, and must not be closed before.
 * Throws UserError where the addon is missing, or `isa` is none that runs here.
 */
export async function createNativeExecutor(
  source: WeightSource,
  { isa, threads, activations = "int8", residency = "packed", reason = "asked for by name" }: NativeOptions = {},
): Promise<NativeExecutor> {
  const { spec } = source;
  const engine = openEngine({ isa, threads });
  try {
    const model = engine.createModel({
      vocabSize: spec.vocabSize,
      hiddenSize: spec.hiddenSize,
      blocks: spec.blocks.map(({ attention }) => ({
        kvHeads: attention?.kvHeads ?? 0,
        headDim: attention?.headDim ?? 0,
      })),
    });
    const context = engine.createContext({ activations });
    const loader = new WeightLoader(source, engine.offline);
    const store = new BlockStore(model, loader, residency);
    const stays = await store.open(spec.blocks.length);
    const { head: output, embeds } = await openOutput(source, loader, model, residency);
    const info: ExecutorInfo = {
      ...{ executor: "native", backend: null, isa: engine.isa, reason, threads: engine.threads, activations },
      residency: stays || residency === "resident" ? residency : "streamed",
    };
    return new NativeExecutor(source, { info, engine, model, context, loader, store, output, embeds });
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

/** Runs a decoder in the native engine, off the main thread. Passes take turns; a row's numbers do not depend on others in its pass. */
export class NativeExecutor implements Executor<NativeHidden> {
  readonly spec: WeightSource["spec"];
  readonly info: ExecutorInfo;
  private readonly source: WeightSource;
  private readonly parts: Parts;
  private readonly pool: HiddenPool;
  private readonly shape: ReturnType<typeof cacheShape>;
  private readonly exitHeads = new Map<string, Head>();
  private readonly adapters = new Set<string>();

  constructor(source: WeightSource, parts: Parts) {
    this.spec = source.spec;
    this.info = parts.info;
    this.source = source;
    this.parts = parts;
    this.pool = new HiddenPool(source.spec.hiddenSize);
    this.shape = cacheShape(source.spec);
  }

  createCache({ maxTokens, kvType = "f16" }: { maxTokens: number; kvType?: KvType }): NativeKvCache {
    return new NativeKvCache(this.parts.model.createCache({ maxTokens, kvType }), this.shape, { maxTokens, kvType });
  }

  async embed(ids: Int32Array): Promise<NativeHidden> {
    const hidden = this.pool.take(ids.length);
    try {
      if (this.parts.embeds) this.parts.model.embed(ids, hidden.data);
      else await this.readEmbedding(ids, hidden.data);
    } catch (error) {
      this.pool.release(hidden);
      throw error;
    }
    return hidden;
  }

  async runBlocks(
    hidden: NativeHidden,
    from: number,
    to: number,
    spans: readonly RowSpan[],
    { skip, adapter, signal }: RunBlocksOptions = {},
  ): Promise<NativeHidden> {
    const input = this.pool.use(hidden);
    if (adapter !== undefined && !this.adapters.has(adapter)) throw new Error(`no adapter ${adapter} is loaded`);
    const { store } = this.parts;
    const native = nativeSpans(spans, hidden.rows);
    const output = this.pool.take(hidden.rows);
    const pass: PassRun = {
      ...{ input, output: output.data, rows: hidden.rows, from, to, spans: native },
      skipAttention: skip ? Uint8Array.from(skip.attention, Number) : null,
      skipMlp: skip ? Uint8Array.from(skip.mlp, Number) : null,
      adapter: adapter ?? null,
    };
    try {
      if (from === to) output.data.set(input);
      while (pass.from < to) {
        pass.to = store.partEnd(pass.from, to);
        await this.runPart(pass, signal);
        pass.from = pass.to;
        pass.input = output.data;
      }
      return output;
    } catch (error) {
      this.pool.release(output);
      throw error;
    }
  }

  async logits(
    hidden: NativeHidden,
    rows: Int32Array = allRows(hidden.rows),
    { norm = true, head: name = OUTPUT_HEAD, into }: LogitsOptions = {},
  ): Promise<Float32Array> {
    const head = name === OUTPUT_HEAD ? this.parts.output : this.exitHeads.get(name);
    if (!head) throw new Error(`no head ${name} is loaded`);
    const input = this.pool.use(hidden);
    const length = rows.length * head.ids;
    const output = into?.length === length ? into : new Float32Array(length);
    const { model, context, store } = this.parts;
    const turn = store.turns.enter();
    if (turn) await turn;
    try {
      await head.logits(context, model, { input, rows, head: name, norm, output });
      return output;
    } finally {
      store.turns.leave();
    }
  }

  async loadAdapter(name: string, parts: readonly LowRankPart[]): Promise<void> {
    checkAdapter(this.spec, name, parts);
    const additions: { block: number; role: string; lowRank: NativeLowRank }[] = [];
    for (const { block, role, rank, a, b, factor } of parts) {
      const matrix = (rows: number, cols: number, data: Float32Array) =>
        this.parts.loader.packed({ kind: "dense", rows, cols, data }, "f32");
      const lowRank = {
        a: await matrix(rank, a.length / rank, a),
        b: await matrix(b.length / rank, rank, b),
        factor,
      };
      additions.push({ block, role, lowRank });
    }
    const { model, store } = this.parts;
    // In turn: the engine refuses to replace an adapter while a pass uses it.
    await store.turns.take(async () => model.setAdapter(name, additions));
    this.adapters.add(name);
  }

  async loadHead(name: string, head: ExitHead): Promise<void> {
    checkExitHead(this.spec, name, head);
    const { loader, model, store } = this.parts;
    this.exitHeads.set(name, await store.turns.take(() => loadExitHead(loader, model, name, head)));
  }

  async read(hidden: NativeHidden): Promise<Float32Array> {
    return this.pool.use(hidden).slice();
  }

  write(data: Float32Array, rows: number): NativeHidden {
    if (data.length !== rows * this.spec.hiddenSize) {
      throw new Error(`write: expected ${rows} rows of ${this.spec.hiddenSize} numbers, found ${data.length}`);
    }
    const hidden = this.pool.take(rows);
    hidden.data.set(data);
    return hidden;
  }

  slice(hidden: NativeHidden, from: number, to: number): NativeHidden {
    const width = this.spec.hiddenSize;
    const data = this.pool.use(hidden);
    if (from < 0 || to < from || to > hidden.rows) throw new Error(`slice: rows [${from}, ${to}) of ${hidden.rows}`);
    const part = this.pool.take(to - from);
    part.data.set(data.subarray(from * width, to * width));
    return part;
  }

  release(hidden: NativeHidden): void {
    this.pool.release(hidden);
  }

  /** Hidden states that were given out and not released. */
  get liveHidden(): number {
    return this.pool.liveCount;
  }

  /** Waits for passes under way, then frees the engine's threads and memory. */
  async dispose(): Promise<void> {
    const { store, context, model, engine } = this.parts;
    await store.turns.take(async () => {
      context.dispose();
      model.dispose();
      engine.dispose();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  /** Runs the pass' range of blocks in one turn. */
  private async runPart(pass: PassRun, signal: AbortSignal | undefined): Promise<void> {
    const { model, context, store } = this.parts;
    const turn = store.turns.enter();
    if (turn) await turn;
    const stop = signal && (() => context.abort());
    try {
      const loading = store.need(pass.from);
      if (loading) await loading;
      throwIfAborted(signal);
      if (stop) signal.addEventListener("abort", stop);
      if (!(await context.run(model, pass))) throw new Interrupted();
    } finally {
      if (stop) signal.removeEventListener("abort", stop);
      store.turns.leave();
    }
  }

  /** Rows of the embedding as the source reads them. */
  private async readEmbedding(ids: Int32Array, out: Float32Array): Promise<void> {
    const width = this.spec.hiddenSize;
    const rows = new Map<number, Float32Array>();
    for (const id of new Set(ids)) rows.set(id, await this.source.readRows("embedding", id, id + 1));
    ids.forEach((id, i) => {
      out.set(rows.get(id) ?? [], i * width);
    });
  }
}

/** A pass under way: its range is set part by part. */
type PassRun = { -readonly [Field in keyof NativePass]: NativePass[Field] };

function allRows(rows: number): Int32Array {
  return Int32Array.from({ length: rows }, (_, row) => row);
}
