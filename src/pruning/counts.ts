/** What a block has that may go: so many slices, of which multiples of `step` are kept, and at least `least`. */
export interface SliceCount {
  readonly slices: number;
  readonly step: number;
  readonly least: number;
}

/** Whether anything can go. */
export function canLose(count: SliceCount | null): count is SliceCount {
  return count !== null && nextLower(count, count.slices) !== null;
}

/** A block that may lose more. */
interface Rung {
  readonly block: number;
  /** The next smaller number kept. */
  readonly lower: number;
  /** How far the number kept is above the wished one, of the way to the next smaller: 0 … 1. */
  readonly excess: number;
}

/**
 * How many slices each block keeps so that it loses about its ratio (one a block, [0, 1]) and all together lose the sum
 * of what they should, to half a step. Null in `counts`: the block has no such slices, and keeps 0.
 */
export function keptCounts(counts: readonly (SliceCount | null)[], ratios: readonly number[]): number[] {
  const wished = counts.map((count, block) => (count ? count.slices * (1 - ratios[block]) : 0));
  const kept = counts.map((count, block) => (count ? keptAtLeast(count, wished[block]) : 0));
  let above = kept.reduce((sum, slices, block) => sum + slices - wished[block], 0);
  const rungs = counts.flatMap((count, block): Rung[] => {
    const lower = count && nextLower(count, kept[block]);
    if (lower === null) return [];
    const excess = (kept[block] - wished[block]) / (kept[block] - lower);
    return excess > ROUNDING ? [{ block, lower, excess }] : [];
  });
  for (const { block, lower } of inTurn(rungs)) {
    const change = kept[block] - lower;
    if (change / 2 > above + ROUNDING) continue;
    kept[block] = lower;
    above -= change;
  }
  return kept;
}

/** What is nothing but the rounding of sums and products. */
const ROUNDING = 1e-9;

/** The smallest number that can be kept and is at least `wished`. */
function keptAtLeast({ slices, step, least }: SliceCount, wished: number): number {
  const steps = Math.ceil(wished / step - ROUNDING) * step;
  return Math.min(slices, Math.max(least, steps));
}

/** The largest number below `kept` that can be kept; null where there is none. */
function nextLower({ step, least }: SliceCount, kept: number): number | null {
  const lower = (Math.ceil(kept / step) - 1) * step;
  return lower >= least ? lower : null;
}

/** Largest excess first; of equals those first that lie in the middles of equal parts of the model. */
function inTurn(rungs: readonly Rung[]): Rung[] {
  const share = rungs.reduce((sum, { excess }) => sum + excess / rungs.length, 0);
  // A rung's place among equals.
  const turns = rungs.map((rung, i) => ({ ...rung, turn: (i * share + 0.5 + ROUNDING) % 1 }));
  return turns.sort(
    (a, b) => (Math.abs(a.excess - b.excess) > ROUNDING ? b.excess - a.excess : b.turn - a.turn) || a.block - b.block,
  );
}
