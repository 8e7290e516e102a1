import { TILE_ROWS } from "../codecs/codec.ts";
import { CODECS, type CodecId } from "../codecs/index.ts";
import { throwIfAborted } from "../errors.ts";
import type { DenseMatrix, PackedMatrix, WeightSource } from "../model/weight-source.ts";
import type { Packer } from "./packer.ts";
import type { QuantizerInput } from "./quantizer-input.ts";

/** Enough to be fast; a whole matrix could be too much: an embedding can be larger than all blocks together. */
const BAND_WEIGHTS = 4 * 1024 * 1024;

/** What a matrix's rows are read from. */
export type RowSource = Pick<WeightSource, "label" | "readRows">;

/** Which matrix of a source is packed, and how. */
export interface BandsRequest {
  readonly source: RowSource;
  readonly id: string;
  readonly rows: number;
  readonly cols: number;
  readonly codec: CodecId;
  readonly packer: Packer;
  /** What the quantizer needs of the matrix's inputs. */
  readonly input?: QuantizerInput | undefined;
  /** Weights in memory at a time, 4 Mi (16 MiB in f32) by default; at least 16 rows are. */
  readonly bandWeights?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Sees every band and its packed bytes. */
  readonly onBand?: ((band: DenseMatrix, packed: PackedMatrix) => Promise<void>) | undefined;
}

/**
 * Packs whole tiles at a time: rows do not depend on each other, so that the bands' bytes together are the matrix's.
 * Throws Interrupted.
 */
export async function packBands(request: BandsRequest): Promise<PackedMatrix> {
  const { source, id, rows, cols, codec, packer, input, bandWeights = BAND_WEIGHTS, signal, onBand } = request;
  const bytes = new Uint8Array(CODECS[codec].packedBytes(rows, cols));
  const bandRows = Math.max(1, Math.floor(bandWeights / cols / TILE_ROWS)) * TILE_ROWS;
  for (let from = 0, at = 0; from < rows; from += bandRows) {
    throwIfAborted(signal);
    const to = Math.min(rows, from + bandRows);
    const band = { kind: "dense" as const, rows: to - from, cols, data: await source.readRows(id, from, to) };
    if (band.data.length !== band.rows * cols) {
      throw new Error(`${source.label}: ${id}: ${band.data.length} weights in ${band.rows} rows of ${cols}`);
    }
    const part = await packer(band, CODECS[codec], { label: id, firstRow: from, input });
    await onBand?.(band, { kind: "packed", codec, rows: band.rows, cols, bytes: part });
    bytes.set(part, at);
    at += part.length;
  }
  return { kind: "packed", codec, rows, cols, bytes };
}
