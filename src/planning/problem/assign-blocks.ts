import { CODECS, type CodecId } from "../../codecs/index.ts";
import type { Assignment, MatrixToPlan } from "./matrices.ts";

/** Each block's codec carried out: a matrix whose rule forbids it takes the nearest width that it may have. */
export function assignBlocks(matrices: readonly MatrixToPlan[], codecOfBlock: readonly CodecId[]): Assignment {
  return new Map(
    matrices.map((matrix) => [
      matrix.id,
      matrix.block === null ? matrix.candidates[0] : nearestCandidate(matrix, codecOfBlock[matrix.block]),
    ]),
  );
}

/** The codec itself where the matrix may have it, else the candidate nearest in bits, the wider of two. */
export function nearestCandidate(matrix: MatrixToPlan, codec: CodecId): CodecId {
  if (matrix.candidates.includes(codec)) return codec;
  const gap = (id: CodecId) => Math.abs(CODECS[id].bits - CODECS[codec].bits);
  return matrix.candidates.reduce((best, id) => (gap(id) < gap(best) ? id : best));
}
