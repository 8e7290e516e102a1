import { CODECS, type CodecId } from "../codecs/index.ts";
import type { DenseMatrix, PackedMatrix } from "../model/weight-source.ts";
import { bandsOf, type MatrixBands } from "./bands.ts";
import type { Packer } from "./packer.ts";
import type { QuantizerInput } from "./quantizer-input.ts";

/** Which matrix of a source is packed, and how. */
export interface BandsRequest extends MatrixBands {
  readonly codec: CodecId;
  readonly packer: Packer;
  /** What the quantizer needs of the matrix's inputs. */
  readonly input?: QuantizerInput | undefined;
  /** Sees every band and its packed bytes. */
  readonly onBand?: ((band: DenseMatrix, packed: PackedMatrix) => Promise<void>) | undefined;
}

/**
 * Packs whole tiles at a time: rows do not depend on each other, so that the bands' bytes together are the matrix's.
 * Throws Interrupted.
 */
export async function packBands(request: BandsRequest): Promise<PackedMatrix> {
  const { id, rows, cols, codec, packer, input, onBand } = request;
  const bytes = new Uint8Array(CODECS[codec].packedBytes(rows, cols));
  let at = 0;
  for await (const { band, firstRow } of bandsOf(request)) {
    const part = await packer(band, CODECS[codec], { label: id, firstRow, input });
    await onBand?.(band, { kind: "packed", codec, rows: band.rows, cols, bytes: part });
    bytes.set(part, at);
    at += part.length;
  }
  return { kind: "packed", codec, rows, cols, bytes };
}
