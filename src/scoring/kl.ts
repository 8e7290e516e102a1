import { z } from "zod";
import { throwIfAborted } from "../errors.ts";
import { LOGIT_BYTES } from "../evaluation/logit-rows.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { compareOutputs, type Output } from "./kl-compare.ts";
import { groupVariants, listVariants, type Variant, withLoss } from "./kl-variants.ts";
import { roundedSource } from "./rounded-source.ts";
import { type ModelScorer, parseOptions, type RowGroup, type ScoreFigures, type ScorerContext } from "./scorer.ts";
import type { Losses } from "./scores.ts";
import { rowGroup } from "./sweep.ts";

const KlOptions = z.strictObject({
  /** Bytes of hidden states of the variants that advance together. Does not change the numbers. */
  maxVariantBytes: z
    .number()
    .positive()
    .default(192 * 1024 * 1024),
  /** Variants that advance together at most: losses are saved, for a run that is interrupted, whenever a group is done. */
  maxVariants: z.number().int().positive().default(16),
  /** Bytes of logits held at a time, for the reference and for a variant each. Does not change the numbers. */
  maxLogitBytes: z.number().positive().default(LOGIT_BYTES),
});
type KlOptions = z.infer<typeof KlOptions>;

/** A comparison of logits in units of one block's pass, for progress only. */
const COMPARE_WORK = 4;

/**
 * KL(model || model with one whole unit at a codec) in nats, mean over all calibration positions, for every block at every
 * candidate codec, and for embedding and output head (one unit when tied) at theirs. All other weights are the original ones.
 */
export const kl: ModelScorer = {
  kind: "model",
  summary: "KL divergence of the model's output with one block (embedding, head) at each candidate codec",
  predictsLoss: true,
  defaultCalibration: { sequences: 16, sequenceTokens: 128 },
  async score(context, executor, raw): Promise<ScoreFigures> {
    const run = new VariantRun(context, executor, parseOptions("kl", KlOptions, raw));
    try {
      const losses = inOrder(await run.all(), context);
      const { codecs, embeddingCodecs } = context;
      return { options: { codecs: [...codecs], embeddingCodecs: [...embeddingCodecs] }, importance: null, losses };
    } finally {
      await run.close();
    }
  },
};

/** The wanted losses in the order of a run that was not interrupted. */
function inOrder(losses: Losses, { source, codecs, embeddingCodecs }: ScorerContext): Losses {
  const variants = listVariants(source.spec, codecs, embeddingCodecs);
  return variants.reduce((all, variant) => withLoss(all, variant, losses[variant.unit][variant.codec]), {});
}

/** A variant on its way: its state is replaced block by block. */
interface Active {
  readonly variant: Variant;
  hidden: unknown;
}

/** Advances groups of variants block by block, so that a block is read once a group and not once a variant. */
class VariantRun {
  private readonly context: ScorerContext;
  private readonly executor: AnyExecutor;
  private readonly options: KlOptions;
  private readonly rows: RowGroup;
  private readonly rounded = new Map<string, AnyExecutor>();
  /** The original model's state at the input of block `at`; only ever moves on. */
  private reference: { hidden: unknown; at: number } | undefined;
  /** The original model's last state. */
  private last: { hidden: unknown } | undefined;
  private work = { done: 0, total: 0 };

  constructor(context: ScorerContext, executor: AnyExecutor, options: KlOptions) {
    this.context = context;
    this.executor = executor;
    this.options = options;
    this.rows = rowGroup(context.sequences, 0);
  }

  async all(): Promise<Losses> {
    const { codecs, embeddingCodecs, saved, onPartial } = this.context;
    const { blocks, hiddenSize } = this.executor.spec;
    const variants = listVariants(this.executor.spec, codecs, embeddingCodecs, saved);
    const groups = groupVariants(variants, 4 * this.rows.ids.length * hiddenSize, this.options);
    this.work.total = variants.reduce(
      (sum, variant) => sum + blocks.length - variant.block + COMPARE_WORK,
      blocks.length,
    );
    let losses: Losses = saved ?? {};
    if (groups.length > 0) await this.prepareReference();
    for (const group of groups) {
      losses = await this.runGroup(group, losses);
      onPartial?.(losses);
    }
    return losses;
  }

  async close(): Promise<void> {
    if (this.reference) this.executor.release(this.reference.hidden);
    if (this.last) this.executor.release(this.last.hidden);
    for (const executor of this.rounded.values()) await executor.dispose();
  }

  private async prepareReference(): Promise<void> {
    this.reference = { hidden: await this.executor.embed(this.rows.ids), at: 0 };
    const last = { hidden: await this.executor.embed(this.rows.ids) };
    this.last = last;
    for (let block = 0; block < this.executor.spec.blocks.length; block++) {
      last.hidden = await this.advance(last.hidden, block);
    }
  }

  /** Runs a group to the end and adds its losses. */
  private async runGroup(group: readonly Variant[], losses: Losses): Promise<Losses> {
    const active: Active[] = [];
    try {
      for (const variant of group) if (variant.kind === "embedding") active.push(await this.startEmbedding(variant));
      for (let block = group[0].block; block < this.executor.spec.blocks.length; block++) {
        const starting = group.filter((variant) => variant.kind === "block" && variant.block === block);
        // The reference first: it reads the block before this one, which the executor still holds.
        if (starting.length > 0) await this.moveReference(block);
        for (const one of active) one.hidden = await this.advance(one.hidden, block);
        for (const variant of starting) active.push(await this.startBlock(variant));
      }
      const means = await this.compare(group, active);
      return group.reduce((all, variant, i) => withLoss(all, variant, means[i]), losses);
    } finally {
      for (const one of active) this.executor.release(one.hidden);
    }
  }

  /** One block by the original weights; releases the input. */
  private async advance(hidden: unknown, block: number): Promise<unknown> {
    throwIfAborted(this.context.signal);
    const next = await this.executor.runBlocks(hidden, block, block + 1, this.rows.spans);
    this.executor.release(hidden);
    this.report(1, `block ${block}`);
    return next;
  }

  private async moveReference(block: number): Promise<void> {
    const reference = this.reference;
    while (reference && reference.at < block) {
      const hidden = await this.executor.runBlocks(reference.hidden, reference.at, reference.at + 1, this.rows.spans);
      this.executor.release(reference.hidden);
      reference.hidden = hidden;
      reference.at++;
    }
  }

  private async startEmbedding(variant: Variant): Promise<Active> {
    const executor = await this.roundedExecutor(variant.codec);
    const embedded = await executor.embed(this.rows.ids);
    return { variant, hidden: await this.handOver(executor, embedded) };
  }

  private async startBlock(variant: Variant): Promise<Active> {
    const executor = await this.roundedExecutor(variant.codec);
    const input = executor.write(await this.executor.read(this.reference?.hidden), this.rows.ids.length);
    const output = await executor
      .runBlocks(input, variant.block, variant.block + 1, this.rows.spans)
      .finally(() => executor.release(input));
    this.report(1, `${variant.unit} at ${variant.codec}`);
    return { variant, hidden: await this.handOver(executor, output) };
  }

  /** A state of another executor as one of the original's: hidden states belong to the executor that made them. */
  private async handOver(from: AnyExecutor, hidden: unknown): Promise<unknown> {
    const data = await from.read(hidden);
    from.release(hidden);
    return this.executor.write(data, this.rows.ids.length);
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
      logitBytes: this.options.maxLogitBytes,
      signal: this.context.signal,
      onChunk: (share) => this.report(share * COMPARE_WORK, "comparing outputs"),
    });
  }

  private async roundedExecutor(codec: string): Promise<AnyExecutor> {
    const known = this.rounded.get(codec);
    if (known) return known;
    const { createExecutor, source, rounding } = this.context;
    const executor = await createExecutor(roundedSource(source, rounding(codec)));
    this.rounded.set(codec, executor);
    return executor;
  }

  private report(work: number, detail: string): void {
    this.work.done += work;
    const done = Math.floor(this.work.done);
    this.context.onProgress?.({ stage: "scoring kl", done, total: this.work.total, detail });
  }
}
