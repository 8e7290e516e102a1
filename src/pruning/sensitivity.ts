import { openStatisticsDescent } from "../calibration/statistics.ts";
import type { BlockSpec } from "../model/decoder-spec.ts";
import { blockName, idOf } from "../model/matrix-id.ts";
import { type DenseMatrix, matrixRows } from "../model/weight-source.ts";
import type { RowGroup } from "../passes/rows.ts";
import { runNumbers } from "../passes/run-rows.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { canLose, keptCounts } from "./counts.ts";
import { type BlockCut, cutSpec } from "./cut.ts";
import type { PrunedBlock, PruningKind } from "./kind.ts";
import { type PruningWork, plannedCuts } from "./prune-model.ts";
import { prunedSource } from "./pruned-source.ts";

/** How much the output of a block changes with pruning, one number a probe of the kind. */
export interface BlockSensitivity {
  /** |D|^2 / |output|^2, D = output as pruned - output. */
  relative: number[];
  /** |D|^2 / numbers. */
  mse: number[];
}

/** What is known of some blocks, in order; null: a block has nothing to lose. */
export type Sensitivities = readonly (BlockSensitivity | null)[];

export interface SensitivityWork extends PruningWork {
  /** Of the first blocks, by an earlier run that was stopped. */
  readonly saved: Sensitivities;
  /** Called with all blocks so far, after each. */
  keep(found: Sensitivities): Promise<void>;
}

/** Hidden states of some sequences, [rows, hiddenSize]. */
interface Rows extends RowGroup {
  readonly hidden: Float32Array;
}

/**
 * Prunes each block by itself at the kind's probes, and compares its outputs on the inputs that the uncut model gives.
 * Throws as `pruneModel`.
 */
export async function measureSensitivity(work: SensitivityWork): Promise<Sensitivities> {
  const { source, kind, maths, saved, keep, onProgress } = work;
  const counts = source.spec.blocks.map((block) => probeCounts(block, kind));
  const probes = kind.probes.map((_, i) => new Probe(work, i, counts));
  const descent = await openStatisticsDescent({ ...work, onProgress: undefined });
  try {
    const found = [...saved];
    for (const [block, kept] of counts.entries()) {
      if (block < saved.length) {
        await descent.advance();
        continue;
      }
      const before = descent.states;
      if (kept) {
        let probe = 0;
        const statistics = () => descent.collect();
        for await (const one of kind.prune({ block, source, maths, statistics }, kept)) probes[probe++].set(block, one);
      }
      await descent.advance();
      const errors = [];
      for (const probe of kept ? probes : []) errors.push(await probe.errorsOf(block, before, descent.states));
      found.push(kept && { relative: errors.map((of) => of.relative), mse: errors.map((of) => of.mse) });
      await keep(found);
      onProgress?.({ stage: "sensitivity", done: block + 1, total: counts.length, detail: blockName(block) });
    }
    return found;
  } finally {
    await descent.close();
    for (const probe of probes) await probe.close();
  }
}

/** Slices that a block keeps at each probe; null where it can lose none. */
function probeCounts(block: BlockSpec, { slicesOf, probes }: PruningKind): number[] | null {
  const count = slicesOf(block);
  return canLose(count) ? probes.map((ratio) => keptCounts([count], [ratio])[0]) : null;
}

/** The model with every block pruned at one probe, of which one block at a time is there. */
class Probe {
  private readonly work: PruningWork;
  private readonly cuts: BlockCut[];
  private readonly repaired = new Map<string, DenseMatrix>();
  private executor: AnyExecutor | null = null;

  constructor(work: PruningWork, probe: number, counts: readonly (readonly number[] | null)[]) {
    this.work = work;
    const kept = counts.map((ofBlock) => ofBlock?.[probe] ?? Number.POSITIVE_INFINITY);
    this.cuts = plannedCuts(work.source.spec, work.kind, kept);
  }

  /** Puts a pruned block in the place of the one before it. */
  set(block: number, { cut, repaired }: PrunedBlock): void {
    this.cuts[block] = cut;
    this.repaired.clear();
    for (const [role, matrix] of repaired) this.repaired.set(idOf(block, role), matrix);
  }

  /** Of a block that was set. */
  async errorsOf(block: number, before: readonly Rows[], after: readonly Rows[]) {
    const executor = await this.open();
    const { signal } = this.work;
    const sums = { difference: 0, output: 0, numbers: 0 };
    for (const [i, { hidden, spans }] of before.entries()) {
      const found = await runNumbers(executor, { data: hidden, spans }, [block, block + 1], { signal });
      const expected = after[i].hidden;
      for (let k = 0; k < expected.length; k++) {
        sums.difference += (found[k] - expected[k]) ** 2;
        sums.output += expected[k] ** 2;
      }
      sums.numbers += expected.length;
    }
    return { relative: sums.difference / (sums.output || 1), mse: sums.difference / sums.numbers };
  }

  async close(): Promise<void> {
    await this.executor?.dispose();
  }

  private async open(): Promise<AnyExecutor> {
    const { source, createExecutor } = this.work;
    this.executor ??= await createExecutor(
      prunedSource({
        ...{ source, spec: cutSpec(source.spec, this.cuts), cutOf: (block) => this.cuts[block] },
        repaired: {
          matrixAt: async (id) => this.repaired.get(id) ?? null,
          rowsAt: async (id, from, to) => {
            const matrix = this.repaired.get(id);
            return matrix ? matrixRows(matrix, from, to).slice() : null;
          },
        },
      }),
    );
    return this.executor;
  }
}
