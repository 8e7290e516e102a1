import type { DescentState, StatisticsDescent } from "../calibration/statistics.ts";
import type { BlockSpec, DecoderSpec } from "../model/decoder-spec.ts";
import type { BlockPruner } from "./block-pruner.ts";
import { canLose, keptCounts } from "./counts.ts";
import { cutBlock, isLeftOut } from "./cut.ts";
import type { PruningKind } from "./kind.ts";
import type { OutputDivergence } from "./output-divergence.ts";

/** What pruning a block does, one number a share of its slices. */
export interface BlockSensitivity {
  /** Slices that it keeps. */
  kept: number[];
  /** Of the block's output: |D|^2 / |output|^2, D = output as pruned - output. */
  relative: number[];
  /** |D|^2 / numbers. */
  mse: number[];
  /** KL divergence of the model's output in nats, nothing else being pruned; null: not measured. */
  kl: number[] | null;
}

/** A kind that is tried, and the shares of a block's slices that are taken. */
export interface PruningTry {
  readonly kind: PruningKind;
  readonly ratios: readonly number[];
}

/** What trials are made with; both descents are at the same block. */
interface TrialParts {
  readonly pruner: BlockPruner;
  /** Of the text that repairs go by. */
  readonly repairs: StatisticsDescent;
  /** Of the text that is measured on. */
  readonly tried: StatisticsDescent;
  readonly divergence: OutputDivergence | null;
}

/** Tries ways of pruning one block after the other, each block by itself. */
export class Trials {
  private readonly parts: TrialParts;
  private readonly spec: DecoderSpec;
  private readonly tries: readonly PruningTry[];
  /** States before the block before the one that the descents are at. */
  private earlier: { readonly repairs: readonly DescentState[]; readonly tried: readonly DescentState[] } | null = null;

  constructor(parts: TrialParts, spec: DecoderSpec, tries: readonly PruningTry[]) {
    this.parts = parts;
    this.spec = spec;
    this.tries = tries;
  }

  /** Of the block that the descents are at, for each kind; null where it has nothing of it to lose. */
  async ofBlock(): Promise<(BlockSensitivity | null)[]> {
    const { tried, divergence } = this.parts;
    const block = tried.at;
    const expected = await tried.outputs();
    const found: (BlockSensitivity | null)[] = [];
    for (const one of this.tries) {
      const counts = countsOf(this.spec.blocks[block], one);
      if (!counts) {
        found.push(null);
        continue;
      }
      const distinct = [...new Set(counts)];
      const outputs = await this.outputsOf(one, distinct);
      const errors = outputs.map((states) => errorsOf(states, expected));
      const kl = divergence && (await divergence.of(block + 1, outputs));
      const all = counts.map((count) => distinct.indexOf(count));
      found.push({
        kept: counts,
        relative: all.map((i) => errors[i].relative),
        mse: all.map((i) => errors[i].mse),
        kl: kl && all.map((i) => kl[i]),
      });
    }
    return found;
  }

  /** On to the next block. */
  async advance(): Promise<void> {
    const { repairs, tried } = this.parts;
    this.earlier = { repairs: repairs.states, tried: tried.states };
    await repairs.advance();
    await tried.advance();
  }

  /** What comes out of the block with so many of its slices. */
  private async outputsOf({ kind }: PruningTry, counts: readonly number[]): Promise<(readonly DescentState[])[]> {
    const { pruner, repairs, tried } = this.parts;
    const block = tried.at;
    const { earlier } = this;
    const isGone = isLeftOut(cutBlock(this.spec.blocks[block], kind.cutOf([])));
    const place =
      isGone && earlier ? { block: block - 1, ...earlier } : { block, repairs: repairs.states, tried: tried.states };
    const leftOut = block - place.block;
    const stretch = { block: place.block, kind: leftOut > 0 ? null : kind, counts, leftOut };
    const inputs = { states: async () => place.repairs, statistics: () => repairs.collect() };
    const outputs: (readonly DescentState[])[] = [];
    for await (const pruned of pruner.prune(stretch, inputs))
      outputs.push(await pruner.run(place.block, pruned, place.tried));
    return outputs;
  }
}

/** Slices that a block keeps at each share; null where it can lose none. */
function countsOf(block: BlockSpec, { kind, ratios }: PruningTry): number[] | null {
  const count = kind.slicesOf(block);
  return canLose(count) ? ratios.map((ratio) => keptCounts([count], [ratio])[0]) : null;
}

function errorsOf(
  found: readonly DescentState[],
  expected: readonly DescentState[],
): { relative: number; mse: number } {
  const sums = { difference: 0, output: 0, numbers: 0 };
  for (const [i, { hidden }] of expected.entries()) {
    const own = found[i].hidden;
    for (let k = 0; k < hidden.length; k++) {
      sums.difference += (own[k] - hidden[k]) ** 2;
      sums.output += hidden[k] ** 2;
    }
    sums.numbers += hidden.length;
  }
  return { relative: sums.difference / (sums.output || 1), mse: sums.difference / sums.numbers };
}
