import type { Codec } from "../codecs/codec.ts";
import type { Maths } from "../maths/maths.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import { type QuantizerId, quantizerOf } from "./index.ts";
import type { QuantizeOptions, Quantizer } from "./quantizer.ts";

/** Quantizes a matrix, or rows of one, and packs it. Throws as the quantizer and the codec do. */
export type Packer = (matrix: DenseMatrix, codec: Codec, options?: QuantizeOptions) => Promise<Uint8Array>;

/**
 * The packer of a quantizer, given by name or itself. The bytes do not depend on the maths. Throws UserError on an
 * unknown name.
 */
export function packerOf(maths: Maths, quantizer: QuantizerId | Quantizer): Packer {
  const chosen = typeof quantizer === "string" ? quantizerOf(quantizer) : quantizer;
  return async (matrix, codec, options) => maths.pack(codec, await chosen.quantize(maths, matrix, codec, options));
}
