import type { Codec, Quantized } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import type { QuantizeOptions } from "./quantizer.ts";
import { checkFinite, checkFloatRange, outOfRange } from "./weight-checks.ts";

/** quantizeNearest on the addon's threads: the same numbers and the same errors. */
export async function quantizeNearestOn(
  engine: NativeEngine,
  matrix: DenseMatrix,
  codec: Codec,
  options: QuantizeOptions = {},
): Promise<Quantized> {
  checkFinite(matrix, options);
  const { rows, cols, data } = matrix;
  if (codec.scheme === "float") {
    checkFloatRange(matrix, codec, options);
    return { kind: "float", rows, cols, values: data };
  }
  const groups = codec.groupsPerRow(cols);
  const asymmetric = codec.scheme === "asymmetric";
  const codes = new Uint8Array(rows * cols);
  const scales = new Float32Array(rows * groups);
  const minima = asymmetric ? new Float32Array(rows * groups) : null;
  const { bits, group } = codec;
  const search = { w: data, rows, cols, bits, group: group ?? 0, asymmetric, codes, scales, minima };
  const badRow = await engine.offline.searchScales(search);
  if (badRow >= 0) throw outOfRange(badRow, codec, options);
  return { kind: "integer", rows, cols, codes, scales, minima };
}
