import { Interrupted, throwIfAborted } from "../../errors.ts";
import type { Maths } from "../../maths/maths.ts";
import { nativeMaths } from "../../maths/native.ts";
import type { KvType } from "../../model/kv-type.ts";
import type { LowRankPart } from "../../model/low-rank.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import type { NativeContext, NativeEngine, NativeModel, NativePass } from "../../native/addon.ts";
import { openEngine } from "../../native/load.ts";
import { Adapters } from "../adapters.ts";
import { embedRows, scaleEmbedded } from "../embed-rows.ts";
import { type Executor, type RunBlocksOptions, skippedAt } from "../executor.ts";
import type { ActivationType, ExecutorInfo } from "../executor-info.ts";
import type { AnswersOptions, HeadAnswers } from "../head-answers.ts";
import { checkExitHead, type ExitHead, type LogitsOptions } from "../heads.ts";
import { InputBuffers, type InputObserver } from "../input-capture.ts";
import type { RowSpan } from "../kv-cache.ts";
import type { BlockStore } from "./block-store.ts";
import { NativeHeads } from "./heads.ts";
import { allRows, HiddenPool, type NativeHidden } from "./hidden.ts";
import { intactContext } from "./intact-context.ts";
import { cacheShape, NativeKvCache } from "./kv-cache.ts";
import { packAdditions } from "./low-rank.ts";
import { nativeSpans } from "./native-spans.ts";
import { openWeights, type WeightOptions } from "./open-weights.ts";
import { loadExitHead } from "./output-head.ts";
import { WeightLoader } from "./weights.ts";

export interface NativeOptions extends WeightOptions {
  /** Instruction set; default: the fastest that works here. */
  readonly isa?: string | undefined;
  /** Default: the physical cores. */
  readonly threads?: number | undefined;
  /** In products with integer codecs; default `int8`. Float codecs always take f32. */
  readonly activations?: ActivationType | undefined;
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
  readonly heads: NativeHeads;
  readonly adapters: Adapters<true>;
  readonly embeds: boolean;
}

/**
 * Opens an executor of the native engine over any weight source; the source stays the caller's to close, and must not
 * be closed before. Throws UserError where the addon is missing, or `isa` is none that runs here.
 */
export async function createNativeExecutor(source: WeightSource, options: NativeOptions = {}): Promise<NativeExecutor> {
  const { isa, threads, activations = "int8", reason = "asked for by name" } = options;
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
    const context = intactContext(engine.createContext({ activations }), source);
    const loader = new WeightLoader(source, engine.offline);
    const { store, residency, streamed, head, embeds } = await openWeights(source, loader, model, options);
    const info: ExecutorInfo = {
      ...{ executor: "native", backend: null, isa: engine.isa, reason, threads: engine.threads, activations },
      ...{ residency, ...(streamed && { streamed }) },
    };
    const heads = new NativeHeads(model, context, head);
    const adapters = new Adapters<true>(source, async (name, parts) => {
      const additions = await packAdditions(loader, parts);
      // In turn: the engine refuses to replace an adapter while a pass uses it.
      await store.turns.take(async () => model.setAdapter(name, additions));
      return true;
    });
    await adapters.takeOwn();
    return new NativeExecutor(source, { info, engine, model, context, loader, store, heads, adapters, embeds });
  } catch (error) {
    engine.dispose();
    throw error;
  }
}

/** A decoder in the native engine, off the main thread. Passes take turns; a row's numbers depend on no other row. */
export class NativeExecutor implements Executor<NativeHidden> {
  readonly spec: WeightSource["spec"];
  readonly info: ExecutorInfo;
  readonly maths: Maths;
  private readonly source: WeightSource;
  private readonly parts: Parts;
  private readonly pool: HiddenPool;
  private readonly shape: ReturnType<typeof cacheShape>;
  private readonly inputs: InputBuffers;

  constructor(source: WeightSource, parts: Parts) {
    this.spec = source.spec;
    this.info = parts.info;
    this.maths = nativeMaths(parts.engine);
    this.source = source;
    this.parts = parts;
    this.pool = new HiddenPool(source.spec.hiddenSize);
    this.shape = cacheShape(source.spec);
    this.inputs = new InputBuffers(source.spec);
  }

  createCache({ maxTokens, kvType = "f16" }: { maxTokens: number; kvType?: KvType }): NativeKvCache {
    return new NativeKvCache(this.parts.model.createCache({ maxTokens, kvType }), this.shape, { maxTokens, kvType });
  }

  async embed(ids: Int32Array): Promise<NativeHidden> {
    const hidden = this.pool.take(ids.length);
    try {
      if (this.parts.embeds) {
        this.parts.model.embed(ids, hidden.data);
        scaleEmbedded(this.spec, hidden.data);
      } else await embedRows(this.source, ids, hidden.data);
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
    { skip, adapter, inputs, signal, logits, answers }: RunBlocksOptions = {},
  ): Promise<NativeHidden> {
    const input = this.pool.use(hidden);
    const { store, adapters } = this.parts;
    const additions = adapters.of(adapter);
    const native = nativeSpans(spans, hidden.rows);
    const output = this.pool.take(hidden.rows);
    const pass: PassRun = {
      ...{ input, output: output.data, rows: hidden.rows, from, to, spans: native },
      skipAttention: skip ? Uint8Array.from(skip.attention, Number) : null,
      skipMlp: skip ? Uint8Array.from(skip.mlp, Number) : null,
      adapter: additions?.name ?? null,
    };
    try {
      if (from === to) {
        output.data.set(input);
        if (logits) await this.logits(hidden, logits.rows, { into: logits.into });
        if (answers) await this.answers(hidden, answers.rows, answers);
      }
      while (pass.from < to) {
        if (inputs) await this.runObserved(pass, { skip, inputs, signal, logits, answers }, to);
        else {
          pass.to = store.partEnd(pass.from, to);
          await this.runPart(pass, pass.to === to ? { signal, logits, answers } : { signal });
        }
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
    options?: LogitsOptions,
  ): Promise<Float32Array> {
    const input = this.pool.use(hidden);
    const { heads, store } = this.parts;
    const turn = store.turns.enter();
    if (turn) await turn;
    try {
      return await heads.logits(input, rows, options);
    } finally {
      store.turns.leave();
    }
  }

  async answers(hidden: NativeHidden, rows: Int32Array, options: AnswersOptions): Promise<HeadAnswers> {
    const input = this.pool.use(hidden);
    return this.parts.store.turns.take(() => this.parts.heads.answers(input, rows, options));
  }

  async loadAdapter(name: string, parts: readonly LowRankPart[]): Promise<void> {
    await this.parts.adapters.put(name, parts);
  }

  async loadHead(name: string, head: ExitHead): Promise<void> {
    checkExitHead(this.spec, name, head);
    const { loader, model, store, heads } = this.parts;
    heads.add(name, await store.turns.take(() => loadExitHead(loader, model, name, head)));
  }

  async read(hidden: NativeHidden): Promise<Float32Array> {
    return this.pool.use(hidden).slice();
  }

  write(data: Float32Array, rows: number): NativeHidden {
    return this.pool.write(data, rows);
  }

  slice(hidden: NativeHidden, from: number, to: number): NativeHidden {
    return this.pool.slice(hidden, from, to);
  }

  stack(parts: readonly NativeHidden[]): NativeHidden {
    return this.pool.stack(parts);
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

  /** Runs the pass' next block and shows the inputs of its matrices. */
  private async runObserved(
    pass: PassRun,
    { skip, inputs, signal, logits, answers }: ObservedOptions,
    to: number,
  ): Promise<void> {
    pass.to = pass.from + 1;
    await this.inputs.capture(
      { block: pass.from, rows: pass.rows, skipped: skippedAt(skip, pass.from) },
      inputs,
      ({ arrays }) => {
        pass.capture = Object.fromEntries(arrays);
        return this.runPart(pass, pass.to === to ? { signal, logits, answers } : { signal });
      },
    );
  }

  /**
   * Runs the pass' range of blocks in one turn; what heads shall say is queued behind it at once, so that the engine
   * need not wait for us.
   */
  private async runPart(pass: PassRun, { signal, logits, answers }: PartOptions): Promise<void> {
    const { model, context, store, heads } = this.parts;
    const turn = store.turns.enter();
    if (turn) await turn;
    const stop = signal && (() => context.abort());
    try {
      const loading = store.need(pass.from);
      if (loading) await loading;
      throwIfAborted(signal);
      if (stop) signal.addEventListener("abort", stop);
      const run = context.run(model, pass);
      // Both are over before anything else happens, whatever comes of them: they write to our arrays.
      const [ran, ...given] = await Promise.allSettled([
        run,
        logits && heads.logitsInto(pass.output, logits.rows, logits.into),
        answers && heads.answers(pass.output, answers.rows, answers),
      ]);
      if (ran.status === "rejected") throw ran.reason;
      // Before what heads said: of a pass that was stopped it means nothing.
      if (!ran.value) throw new Interrupted();
      for (const one of given) if (one.status === "rejected") throw one.reason;
    } finally {
      if (stop) signal.removeEventListener("abort", stop);
      store.turns.leave();
    }
  }
}

type PartOptions = Pick<RunBlocksOptions, "signal" | "logits" | "answers">;
type ObservedOptions = RunBlocksOptions & { readonly inputs: InputObserver };

/** A pass under way: its range is set part by part. */
type PassRun = { -readonly [Field in keyof NativePass]: NativePass[Field] };
