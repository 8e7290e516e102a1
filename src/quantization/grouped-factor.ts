import { CHUNK_COLS } from "../codecs/codec.ts";
import type { Maths } from "../maths/maths.ts";
import { dampedGram, type QuantizerInput } from "./quantizer-input.ts";

/** An order of columns, and the upper factor u of the damped gram's inverse (u^T u) in it. */
export interface OrderedFactor {
  /** [cols] */
  readonly order: Int32Array;
  /** [cols, cols] */
  readonly factor: Float64Array;
}

const made = new WeakMap<QuantizerInput, Promise<OrderedFactor>>();

/**
 * The factor of an input for sparse codecs, made once for all of them: the columns of a group of 32, of which some are
 * to be chosen together, follow each other. Groups come by the falling sum of the gram's diagonal, the first of equals
 * first; a short one at the end stays there. The same bytes from any maths.
 */
export function groupedFactor(maths: Maths, input: QuantizerInput): Promise<OrderedFactor> {
  const known = made.get(input);
  if (known) return known;
  const making = makeFactor(maths, input);
  made.set(input, making);
  return making;
}

async function makeFactor(maths: Maths, input: QuantizerInput): Promise<OrderedFactor> {
  const order = groupedOrder(input);
  const factor = dampedGram(input, order);
  // With the damping that a factor in another order was found with.
  if (await maths.inverseUpperFactor(factor, input.cols)) return { order, factor };
  throw new Error("second moments: positive definite in one order of the columns, and not in another");
}

function groupedOrder({ cols, gram }: QuantizerInput): Int32Array {
  const groups = Array.from({ length: Math.ceil(cols / CHUNK_COLS) }, (_, group) => {
    const first = group * CHUNK_COLS;
    const columns = Array.from({ length: Math.min(CHUNK_COLS, cols - first) }, (_, i) => first + i);
    return { columns, sum: columns.reduce((sum, col) => sum + gram[col * (cols + 1)], 0) };
  });
  const isShort = ({ columns }: { readonly columns: readonly number[] }) => Number(columns.length < CHUNK_COLS);
  groups.sort((a, b) => isShort(a) - isShort(b) || b.sum - a.sum);
  return Int32Array.from(groups.flatMap(({ columns }) => columns));
}
