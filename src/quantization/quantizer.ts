import type { Codec, Quantized } from "../codecs/codec.ts";
import type { Maths } from "../maths/maths.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { RefinerOptions, RefinerSetup } from "../training/rounding/block-refiner.ts";
import type { QuantizerInput, QuantizerNeeds } from "./quantizer-input.ts";

export interface QuantizeOptions {
  /** What the matrix is called in messages. */
  readonly label?: string | undefined;
  /** Row of the whole matrix that the first row is, for messages. */
  readonly firstRow?: number | undefined;
  /** What the matrix multiplies, prepared once for all codecs and all matrices with these inputs; see `needs`. */
  readonly input?: QuantizerInput | undefined;
}

/** Chooses the numbers for a codec. */
export interface Quantizer {
  /** What it needs of a matrix's inputs (QuantizeOptions.input). */
  readonly needs: QuantizerNeeds;
  /**
   * The numbers of a matrix; they do not depend on which maths. Rows do not influence each other, so a part of a matrix
   * quantizes as it does in the whole. Throws UserError for weights that are not finite or that the codec's f16 scales
   * cannot reach.
   */
  quantize(maths: Maths, matrix: DenseMatrix, codec: Codec, options?: QuantizeOptions): Promise<Quantized>;
}

/** Chooses the numbers of whole blocks of a plan: after a quantizer of matrices it refines all of a block together. */
export interface BlockQuantizer {
  /** The quantizer of matrices that it begins with, by name: libraries, scores and plans are made with that one. */
  readonly begins: string;
  /** Prepares the refiner. Throws UserError BACKEND where what it computes with does not work. */
  prepare(options: RefinerOptions): Promise<RefinerSetup>;
}
