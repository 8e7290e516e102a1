import { throwIfAborted } from "../../errors.ts";
import { rowsOfLogits } from "../../evaluation/logit-rows.ts";
import { KvType } from "../../model/kv-type.ts";
import { type CachedSpans, cachedSpans } from "../../passes/caches.ts";
import { type PassRows, rowsOf } from "../../passes/rows.ts";
import { type MovingRows, moveRows, runNumbers, startRows, takeNumbers } from "../../passes/run-rows.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { sourceAt } from "../rounded-source.ts";
import type { ScorerContext } from "../scorer.ts";
import type { Losses } from "../scores.ts";
import { compareOutputs, evenChunk, type Output } from "./compare.ts";
import { durationText } from "./run-estimate.ts";
import { variantSource } from "./variant-source.ts";
import { groupVariants, type Variant, withLoss } from "./variants.ts";

/** Limits of a run; none changes the numbers. */
export interface RunLimits {
  readonly maxVariantBytes: number;
  readonly maxVariants: number;
  readonly maxLogitBytes: number;
}

/** A comparison of logits in units of one block's pass, for progress only. */
const COMPARE_WORK = 4;

/** A variant on its way. */
interface Active extends MovingRows {
  readonly variant: Variant;
  /** Caches of its own. */
  readonly cached: CachedSpans | null;
}

/**
 * KL(model || variant) of any number of variants. Groups of them advance block by block, so that a block is read once a
 * group and not once a variant, and a variant runs nothing before the block that it changes.
 */
export class VariantRun {
  private readonly context: ScorerContext;
  private readonly executor: AnyExecutor;
  private readonly limits: RunLimits;
  private readonly rows: PassRows;
  /** For embedding and output head, by codec. */
  private readonly rounded = new Map<string, AnyExecutor>();
  /** Runs the changed blocks: its block i is that of `changed[i]`. */
  private changing: AnyExecutor | undefined;
  private changed: readonly Variant[] = [];
  /** The original model's rows before the blocks that change next; they only ever move on. */
  private reference: MovingRows | undefined;
  /** The original model's rows after the last block. */
  private last: MovingRows | undefined;
  private work = { done: 0, total: 0 };

  constructor(context: ScorerContext, executor: AnyExecutor, limits: RunLimits) {
    this.context = context;
    this.executor = executor;
    this.limits = limits;
    this.rows = rowsOf(context.sequences);
  }

  /** The losses of the variants, in their order of `block`, beside those that are saved. Called once. */
  async measure(variants: readonly Variant[]): Promise<Losses> {
    const { saved, keep } = this.context.kept;
    const { blocks, hiddenSize } = this.executor.spec;
    const missing = variants.filter(({ unit, codec }) => saved[unit]?.[codec] === undefined);
    const groups = groupVariants(missing, 4 * this.rows.ids.length * hiddenSize, this.limits);
    const runs = missing.reduce((sum, { block }) => sum + blocks.length - block, 0);
    this.work.total = blocks.length + runs + COMPARE_WORK * missing.length;
    let losses: Losses = saved;
    if (missing.length > 0) await this.prepare(missing, runs);
    for (const group of groups) {
      losses = await this.runGroup(group, losses);
      keep(losses);
    }
    return losses;
  }

  async close(): Promise<void> {
    if (this.reference) this.executor.release(this.reference.hidden);
    if (this.last) this.executor.release(this.last.hidden);
    await this.changing?.dispose();
    for (const executor of this.rounded.values()) await executor.dispose();
  }

  /** Runs the reference, and says from its time how long the variants will take. */
  private async prepare(variants: readonly Variant[], runs: number): Promise<void> {
    const { blocks } = this.executor.spec;
    this.reference = await startRows(this.executor, this.rows);
    this.last = await startRows(this.executor, this.rows);
    const began = performance.now();
    for (const _ of blocks) await this.advance(this.last);
    const blockMs = (performance.now() - began) / Math.max(1, blocks.length);
    const compareMs = await this.timeComparison();
    const seconds = (runs * blockMs + variants.length * compareMs) / 1000;
    const parts = `${runs} blocks of ${durationText(blockMs / 1000)}, comparisons of ${durationText(compareMs / 1000)}`;
    this.report(0, "", `estimated ${durationText(seconds)} for ${variants.length} variants: ${parts}`);
    this.changed = variants.filter(({ kind }) => kind === "block");
    if (this.changed.length === 0) return;
    const { createExecutor, source, matrices } = this.context;
    this.changing = await createExecutor(variantSource(source, this.changed, matrices));
  }

  /** Milliseconds of one variant's comparison over all rows, from one chunk of logits. */
  private async timeComparison(): Promise<number> {
    const rows = this.rows.ids.length;
    const { maxLogitBytes: logitBytes } = this.limits;
    const chunk = evenChunk(rows, rowsOfLogits(this.executor.spec.vocabSize, logitBytes));
    const output: Output = { executor: this.executor, hidden: this.last?.hidden };
    // The first call may read the output head.
    await this.executor.logits(output.hidden, Int32Array.of(0));
    const began = performance.now();
    await compareOutputs(output, [output], chunk, { logitBytes, signal: this.context.signal });
    // The reference's half is shared by a group.
    return ((performance.now() - began) * rows) / chunk / 2;
  }

  /** Runs a group to the end and adds its losses. */
  private async runGroup(group: readonly Variant[], losses: Losses): Promise<Losses> {
    const active: Active[] = [];
    try {
      for (const variant of group) {
        if (variant.kind === "embedding") active.push(await this.startEmbedding(variant));
        if (variant.kind === "kv") active.push(await this.startCache(variant));
      }
      for (let block = group[0].block; block < this.executor.spec.blocks.length; block++) {
        const starting = group.filter((variant) => variant.kind === "block" && variant.block === block);
        // The reference first: it reads the block before this one, which the executor still holds.
        if (starting.length > 0) await this.moveReference(block);
        for (const one of active) await this.advance(one);
        for (const variant of starting) active.push(await this.startBlock(variant));
      }
      const means = await this.compare(group, active);
      return group.reduce((all, variant, i) => withLoss(all, variant, means[i]), losses);
    } finally {
      for (const one of active) {
        this.executor.release(one.hidden);
        one.cached?.dispose();
      }
    }
  }

  /** One block by the original weights. */
  private async advance(rows: MovingRows): Promise<void> {
    throwIfAborted(this.context.signal);
    const block = rows.depth;
    await moveRows(this.executor, rows, block + 1);
    this.report(1, `block ${block}`);
  }

  private async moveReference(block: number): Promise<void> {
    const { reference } = this;
    while (reference && reference.depth < block) await moveRows(this.executor, reference, reference.depth + 1);
  }

  private async startEmbedding(variant: Variant): Promise<Active> {
    const executor = await this.roundedExecutor(variant.codec);
    const data = await takeNumbers(executor, await executor.embed(this.rows.ids));
    return this.activate(variant, data, 0);
  }

  /** Keys and values in the variant's type. */
  private async startCache(variant: Variant): Promise<Active> {
    const kvType = KvType.parse(variant.codec);
    const cached = cachedSpans(this.executor, this.rows.spans, kvType);
    try {
      return { variant, cached, ...(await startRows(this.executor, { ids: this.rows.ids, spans: cached.spans })) };
    } catch (error) {
      cached.dispose();
      throw error;
    }
  }

  private async startBlock(variant: Variant): Promise<Active> {
    if (!this.changing) throw new Error("no executor for changed blocks");
    const at = this.changed.indexOf(variant);
    const input = { data: await this.executor.read(this.reference?.hidden), spans: this.rows.spans };
    const data = await runNumbers(this.changing, input, [at, at + 1]);
    this.report(1, `${variant.unit} at ${variant.codec}`);
    return this.activate(variant, data, variant.block + 1);
  }

  /** Rows that another executor has run so far: hidden states belong to the executor that made them. */
  private activate(variant: Variant, data: Float32Array, depth: number): Active {
    const hidden: unknown = this.executor.write(data, this.rows.ids.length);
    return { variant, hidden, depth, spans: this.rows.spans, cached: null };
  }

  private async compare(group: readonly Variant[], active: readonly Active[]): Promise<number[]> {
    const states = new Map(active.map((one) => [one.variant, one.hidden]));
    const outputs: Output[] = [];
    for (const variant of group) {
      const ownHead = variant.kind === "head" || (variant.kind === "embedding" && this.executor.spec.tied);
      const executor = ownHead ? await this.roundedExecutor(variant.codec) : this.executor;
      outputs.push({ executor, hidden: states.get(variant) ?? this.last?.hidden });
    }
    const reference: Output = { executor: this.executor, hidden: this.last?.hidden };
    return compareOutputs(reference, outputs, this.rows.ids.length, {
      logitBytes: this.limits.maxLogitBytes,
      signal: this.context.signal,
      onChunk: (share) => this.report(share * COMPARE_WORK, "comparing outputs"),
    });
  }

  private async roundedExecutor(codec: string): Promise<AnyExecutor> {
    const known = this.rounded.get(codec);
    if (known) return known;
    const { createExecutor, source, matrices } = this.context;
    const executor = await createExecutor(sourceAt(source, matrices, codec));
    this.rounded.set(codec, executor);
    return executor;
  }

  private report(work: number, detail: string, note?: string): void {
    this.work.done += work;
    const done = Math.floor(this.work.done);
    this.context.onProgress?.({ stage: "scoring kl", done, total: this.work.total, detail, ...(note ? { note } : {}) });
  }
}
