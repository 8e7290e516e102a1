/**
 * Spearman's rank correlation of two equally long arrays, -1 … 1: Pearson's correlation of the ranks, ties sharing
 * their mean rank. NaN when one array is constant. Throws on different lengths or fewer than two values.
 */
export function rankCorrelation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length || a.length < 2) {
    throw new Error(`rankCorrelation: expected two arrays of equal length >= 2, found ${a.length} and ${b.length}`);
  }
  return correlation(ranks(a), ranks(b));
}

/** Ranks from 1; equal values share the mean of their places. */
export function ranks(values: ArrayLike<number>): Float64Array {
  const order = Array.from({ length: values.length }, (_, i) => i).sort((i, j) => values[i] - values[j]);
  const out = new Float64Array(values.length);
  for (let from = 0; from < order.length; ) {
    let to = from;
    while (to < order.length && values[order[to]] === values[order[from]]) to++;
    for (let i = from; i < to; i++) out[order[i]] = (from + to + 1) / 2;
    from = Math.max(to, from + 1);
  }
  return out;
}

function correlation(a: Float64Array, b: Float64Array): number {
  const mean = (a.length + 1) / 2; // ranks always average to this
  let ab = 0;
  let aa = 0;
  let bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += (a[i] - mean) * (b[i] - mean);
    aa += (a[i] - mean) ** 2;
    bb += (b[i] - mean) ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}
