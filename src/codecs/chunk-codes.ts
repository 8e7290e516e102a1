/** A chunk's codes by the form of its codec: every level stored, or some under a mask. */
import { readChunk, writeChunk } from "./bit-planes.ts";
import type { IntegerForm } from "./integer-geometry.ts";
import { type ChunkExtent, readSparseChunk, writeSparseChunk } from "./sparse-chunk.ts";

/** Reads the codes of rows [rowFrom, rowTo) of the chunk that begins at words[at], as readChunk has them. */
export function readCodes(
  form: IntegerForm,
  words: Int32Array,
  at: number,
  codes: Int32Array,
  rowFrom: number,
  rowTo: number,
): void {
  if (form.kept) readSparseChunk(form, words, at, codes);
  else readChunk(form.bits, words, at, codes, rowFrom, rowTo);
}

/** Writes a chunk's codes from words[at] on, which are zeros; `extent` is what of it lies in the matrix. */
export function writeCodes(
  form: IntegerForm,
  codes: Int32Array,
  extent: ChunkExtent,
  words: Int32Array,
  at: number,
): void {
  if (form.kept) writeSparseChunk(form, form.kept, codes, extent, words, at);
  else writeChunk(form.bits, codes, words, at);
}
