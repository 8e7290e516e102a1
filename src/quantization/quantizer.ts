import type { Codec, Quantized } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";

export interface QuantizeOptions {
  /** What the matrix is called in messages. */
  readonly label?: string | undefined;
  /** Row of the whole matrix that the first row is, for messages. */
  readonly firstRow?: number | undefined;
}

/**
 * Chooses the numbers for a codec. Rows do not influence each other, so a part of a matrix quantizes as it does in the
 * whole. Throws UserError for weights that are not finite or that the codec's f16 scales cannot reach.
 */
export type Quantizer = (matrix: DenseMatrix, codec: Codec, options?: QuantizeOptions) => Quantized;
