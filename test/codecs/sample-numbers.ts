import type { Codec, Quantized } from "../../src/codecs/codec.ts";
import { snapScales } from "../../src/codecs/two-level.ts";
import { Random } from "../../src/tensor/random.ts";
import { withinKept } from "./within-kept.ts";

/** Random numbers that fit a codec, as a quantizer would choose them: scales of both signs, every code. */
export function sampleNumbers(codec: Codec, rows: number, cols: number, seed = 1): Quantized {
  const random = new Random(seed).fork(`${codec.id} ${rows} ${cols}`);
  if (codec.scheme === "float") {
    return { kind: "float", rows, cols, values: Float32Array.from({ length: rows * cols }, () => random.nextNormal()) };
  }
  const groups = codec.groupsPerRow(cols);
  const snapped = (spread: number) =>
    snapScales(
      codec,
      Float32Array.from({ length: rows * groups }, () => random.nextNormal() * spread),
      groups,
    );
  const drawn = Uint8Array.from({ length: rows * cols }, () => random.nextInt(2 ** codec.bits));
  const codes = withinKept(codec, drawn, cols);
  const { scales, rowScales } = snapped(0.01);
  const minima = codec.scheme === "asymmetric" ? snapped(0.1) : null;
  return {
    kind: "integer",
    rows,
    cols,
    codes,
    scales,
    minima: minima?.scales ?? null,
    rowScales,
    rowMinima: minima?.rowScales ?? null,
  };
}

/** The numbers that a quantized matrix stands for, by the codec's definition, exactly: [rows, cols]. */
export function exactValuesOf(codec: Codec, quantized: Quantized): Float64Array {
  if (quantized.kind === "float") return Float64Array.from(quantized.values);
  const { rows, cols, codes, scales, minima } = quantized;
  const groups = codec.groupsPerRow(cols);
  const groupCols = codec.group ?? cols;
  return Float64Array.from({ length: rows * cols }, (_, i) => {
    const group = Math.floor(i / cols) * groups + Math.floor((i % cols) / groupCols);
    if (minima) return scales[group] * codes[i] + minima[group];
    if (codec.levels) return scales[group] * codec.levels[codes[i]];
    throw new Error(`${codec.id}: neither minima nor levels`);
  });
}

/** The same, rounded to f32. */
export function valuesOf(codec: Codec, quantized: Quantized): Float32Array {
  return Float32Array.from(exactValuesOf(codec, quantized));
}
