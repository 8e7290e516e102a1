import { f16ToF32 } from "../tensor/half.ts";
import { CHUNK_WORDS, readChunk } from "./bit-planes.ts";
import { CHUNK_COLS, type Codec, type PackedShape, type Quantized, TILE_ROWS } from "./codec.ts";
import { HALVES_BYTES, type IntegerForm, type IntegerGeometry, integerGeometry, levelsAt } from "./integer-geometry.ts";
import { alignedTiles, checkLength, type TileSpan, tileSpans } from "./tile.ts";

/** Codes, scales and minima of some rows, as a quantizer chose them. */
export type IntegerNumbers = Extract<Quantized, { kind: "integer" }>;

/**
 * The numbers of rows [from, to): what `pack` was given for them. For writing the same numbers in another format.
 * A TypeError where the codec holds floats.
 */
export function unpackNumbers(codec: Codec, packed: PackedShape, from: number, to: number): IntegerNumbers {
  const form = formOf(codec);
  const { rows, cols } = packed;
  checkLength(`${codec.id} bytes`, packed.bytes.length, codec.packedBytes(rows, cols));
  const g = integerGeometry(form, cols);
  const numbers: IntegerNumbers = {
    kind: "integer",
    rows: to - from,
    cols,
    codes: new Uint8Array((to - from) * cols),
    scales: new Float32Array((to - from) * g.groups),
    minima: form.scheme === "asymmetric" ? new Float32Array((to - from) * g.groups) : null,
  };
  const spans = tileSpans(rows, from, to);
  const { firstTile, bytes } = alignedTiles(packed, g.stride, from, to);
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const halves = new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);
  for (const span of spans) {
    const start = (span.tile - firstTile) * g.stride;
    readCodes(form, g, words, start, span, numbers);
    readHalves(g, halves, start / 2, span, numbers.scales);
    if (numbers.minima) readHalves(g, halves, (start + HALVES_BYTES) / 2, span, numbers.minima);
  }
  return numbers;
}

function formOf({ id, bits, group, scheme }: Codec): IntegerForm {
  const known = bits === 2 || bits === 3 || bits === 4 || bits === 5 || bits === 6 || bits === 8;
  if (!known || scheme === "float") throw new TypeError(`${id}: holds no codes`);
  if (group === null || group === 32 || group === 64 || group === 128) return { bits, group, scheme };
  throw new TypeError(`${id}: groups of ${group}`);
}

function readCodes(
  form: IntegerForm,
  g: IntegerGeometry,
  words: Int32Array,
  start: number,
  { rowFrom, rowTo, target }: TileSpan,
  { codes, cols }: IntegerNumbers,
): void {
  const chunkCodes = new Int32Array(CHUNK_WORDS);
  for (let chunk = 0; chunk < g.chunks; chunk++) {
    readChunk(form.bits, words, (start + levelsAt(g, chunk)) / 4, chunkCodes, rowFrom, rowTo);
    const firstCol = chunk * CHUNK_COLS;
    const width = Math.min(CHUNK_COLS, cols - firstCol);
    for (let r = rowFrom; r < rowTo; r++) {
      const at = (target + r - rowFrom) * cols + firstCol;
      for (let c = 0; c < width; c++) codes[at + c] = (chunkCodes[(c >> 2) * TILE_ROWS + r] >>> (8 * (c & 3))) & 255;
    }
  }
}

function readHalves(
  { groups, groupStride }: IntegerGeometry,
  halves: Uint16Array,
  at: number,
  { rowFrom, rowTo, target }: TileSpan,
  out: Float32Array,
): void {
  for (let r = rowFrom; r < rowTo; r++) {
    for (let group = 0; group < groups; group++) {
      out[(target + r - rowFrom) * groups + group] = f16ToF32(halves[at + (group * groupStride) / 2 + r]);
    }
  }
}
