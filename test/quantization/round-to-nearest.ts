import type { DenseMatrix } from "../../src/model/weight-source.ts";
import { nearestLevel } from "../../src/tensor/rounding.ts";

/**
 * Plain rounding, as the literature's baselines define it, with scales in double precision:
 * - `symmetric`: s = max|w| / (2^(b-1) - 1), w' = s q;
 * - `asymmetric`: the range is stretched to hold zero, s = (hi - lo) / (2^b - 1), z = round(-lo / s), w' = s (q - z);
 * - `asymmetric-min`: s = (hi - lo) / (2^b - 1), w' = s q + lo.
 * s = 1 where the group leaves none. Rounding is to even.
 */
export interface RoundingForm {
  readonly bits: number;
  /** Columns that share a scale. */
  readonly group: number;
  readonly scheme: "symmetric" | "asymmetric" | "asymmetric-min";
}

/** Levels, scales and what they stand for. */
export interface RoundedMatrix {
  /** [rows, cols]; signed where symmetric. */
  readonly codes: Int32Array;
  /** [rows, groups] */
  readonly scales: Float64Array;
  /** What the code 0 stands for, [rows, groups]: 0, -s z, or the group's least weight. */
  readonly offsets: Float64Array;
  /** [rows, cols] */
  readonly values: Float64Array;
}

/** Scale and offset of a group, its codes' limits, and the code of offset zero. */
interface GroupForm {
  readonly scale: number;
  readonly offset: number;
  readonly zero: number;
}

/** Rounds a matrix by one of the plain definitions; no search, no packing. */
export function roundToNearest({ rows, cols, data }: DenseMatrix, form: RoundingForm): RoundedMatrix {
  const groups = Math.ceil(cols / form.group);
  const codes = new Int32Array(rows * cols);
  const scales = new Float64Array(rows * groups);
  const offsets = new Float64Array(rows * groups);
  const values = new Float64Array(rows * cols);
  const least = form.scheme === "symmetric" ? -(2 ** (form.bits - 1)) : 0;
  const most = least + 2 ** form.bits - 1;
  for (let g = 0; g < rows * groups; g++) {
    const from = Math.floor(g / groups) * cols + (g % groups) * form.group;
    const to = Math.min(from + form.group, (Math.floor(g / groups) + 1) * cols);
    const { scale, offset, zero } = groupForm(data, from, to, form);
    const shift = form.scheme === "asymmetric-min" ? offset : 0;
    scales[g] = scale;
    offsets[g] = offset;
    for (let i = from; i < to; i++) {
      codes[i] = nearestLevel(nearestLevel((data[i] - shift) / scale, -Infinity, Infinity) + zero, least, most);
      values[i] = scale * (codes[i] - zero) + shift;
    }
  }
  return { codes, scales, offsets, values };
}

function groupForm(data: Float32Array, from: number, to: number, { bits, scheme }: RoundingForm): GroupForm {
  let low = scheme === "asymmetric-min" ? Number.POSITIVE_INFINITY : 0;
  let high = -low;
  for (let i = from; i < to; i++) {
    low = Math.min(low, data[i]);
    high = Math.max(high, data[i]);
  }
  if (scheme === "symmetric") {
    return { scale: Math.max(high, -low) / (2 ** (bits - 1) - 1) || 1, offset: 0, zero: 0 };
  }
  const scale = (high - low) / (2 ** bits - 1) || 1;
  if (scheme === "asymmetric-min") return { scale, offset: low, zero: 0 };
  const zero = nearestLevel(-low / scale, -Infinity, Infinity);
  return { scale, offset: -scale * zero, zero };
}
