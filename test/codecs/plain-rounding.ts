import type { Codec, Quantized } from "../../src/codecs/codec.ts";
import { snapScales } from "../../src/codecs/two-level.ts";
import type { Quantizer } from "../../src/quantization/quantizer.ts";
import { withinKept } from "./within-kept.ts";

/** roundPlainly as a quantizer. */
export const plainRounding: Quantizer = {
  needs: "nothing",
  quantize: async (_, { data, rows, cols }, codec) => roundPlainly(codec, data, rows, cols),
};

/**
 * Numbers by rounding to the nearest level (or code) under the largest magnitude of each group: good enough where none
 * is judged.
 */
export function roundPlainly(codec: Codec, data: Float32Array, rows: number, cols: number): Quantized {
  if (codec.scheme === "float") return { kind: "float", rows, cols, values: data };
  const groups = codec.groupsPerRow(cols);
  const groupCols = codec.group ?? cols;
  const groupOf = (i: number) => Math.floor(i / cols) * groups + Math.floor((i % cols) / groupCols);
  const largest = new Float32Array(rows * groups);
  data.forEach((x, i) => {
    largest[groupOf(i)] = Math.max(largest[groupOf(i)], Math.abs(x));
  });
  const { levels } = codec;
  const top = levels ? levels[levels.length - 1] : (2 ** codec.bits - 1) / 2;
  const { scales, rowScales } = snapScales(
    codec,
    largest.map((x) => x / top),
    groups,
  );
  const minima = levels
    ? null
    : snapScales(
        codec,
        largest.map((x) => -x),
        groups,
      );
  const codeOf = (x: number, at: number) => {
    const scaled = scales[at] === 0 ? 0 : (x - (minima ? minima.scales[at] : 0)) / scales[at];
    return levels ? nearestCode(levels, scaled) : Math.max(0, Math.min(2 ** codec.bits - 1, Math.round(scaled)));
  };
  return {
    kind: "integer",
    rows,
    cols,
    codes: withinKept(
      codec,
      Uint8Array.from(data, (x, i) => codeOf(x, groupOf(i))),
      cols,
    ),
    scales,
    minima: minima?.scales ?? null,
    rowScales,
    rowMinima: minima?.rowScales ?? null,
  };
}

function nearestCode(levels: Int8Array, x: number): number {
  let best = 0;
  for (let code = 1; code < levels.length; code++) {
    if (Math.abs(levels[code] - x) < Math.abs(levels[best] - x)) best = code;
  }
  return best;
}
