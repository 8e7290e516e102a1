import { checkIds, gatherPackedRows } from "../codecs/gather-rows.ts";
import { CODECS } from "../codecs/index.ts";
import type { Matrix } from "./weight-source.ts";

/**
 * Rows of a matrix, in the order of `ids`, as a matrix of its own ([ids, cols]): the numbers are those of the matrix,
 * bit by bit, in the same codec. Throws a RangeError on an id that is no row of it, or no ids at all.
 */
export function gatherRows(matrix: Matrix, ids: Int32Array): Matrix {
  if (matrix.kind === "packed") {
    return { ...matrix, rows: ids.length, bytes: gatherPackedRows(CODECS[matrix.codec], matrix, ids) };
  }
  const { rows, cols, data } = matrix;
  checkIds(rows, ids);
  if (ids.length === 0) throw new RangeError("ids: expected at least one row, found none");
  const gathered = new Float32Array(ids.length * cols);
  ids.forEach((id, row) => {
    gathered.set(data.subarray(id * cols, (id + 1) * cols), row * cols);
  });
  return { kind: "dense", rows: ids.length, cols, data: gathered };
}
