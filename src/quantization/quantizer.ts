import type { Codec, Quantized } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import type { QuantizerInput } from "./quantizer-input.ts";

export interface QuantizeOptions {
  /** What the matrix is called in messages. */
  readonly label?: string | undefined;
  /** Row of the whole matrix that the first row is, for messages. */
  readonly firstRow?: number | undefined;
  /** What the matrix multiplies, prepared once for all codecs and all matrices with these inputs; see `needs` of a quantizer. */
  readonly input?: QuantizerInput | undefined;
}

/**
 * Chooses the numbers for a codec. Rows do not influence each other, so a part of a matrix quantizes as it does in the
 * whole. Throws UserError for weights that are not finite or that the codec's f16 scales cannot reach.
 */
export type Quantizer = (matrix: DenseMatrix, codec: Codec, options?: QuantizeOptions) => Quantized;

/** A quantizer that computes on an engine: the numbers of its twin in QUANTIZERS, bit for bit. */
export type EngineQuantizer = (
  engine: NativeEngine,
  matrix: DenseMatrix,
  codec: Codec,
  options?: QuantizeOptions,
) => Promise<Quantized>;
