import { bf16ToF32Array, f16ToF32Array, f32ToBf16Array, f32ToF16Array } from "../tensor/half.ts";
import { type Codec, type PackedShape, type Quantized, TILE_ROWS } from "./codec.ts";
import {
  alignedTiles,
  checkLength,
  checkShape,
  outputOf,
  type TileSpan,
  tileSpans,
  tileStride,
  tilesOf,
} from "./tile.ts";

/**
 * How one float format keeps numbers; whole arrays at a time, since a call a number would cost more than the number.
 */
interface FloatFormat {
  readonly id: string;
  readonly bytes: 2 | 4;
  encode(values: Float32Array, target: Uint8Array): void;
  decode(bytes: Uint8Array, target: Float32Array): void;
}

const floats = (bytes: Uint8Array) => new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const halves = (bytes: Uint8Array) => new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2);

const F32: FloatFormat = {
  id: "f32",
  bytes: 4,
  encode: (values, target) => floats(target).set(values),
  decode: (bytes, target) => target.set(floats(bytes)),
};
const F16: FloatFormat = {
  id: "f16",
  bytes: 2,
  encode: (values, target) => void f32ToF16Array(values, halves(target)),
  decode: (bytes, target) => void f16ToF32Array(halves(bytes), target),
};
const BF16: FloatFormat = {
  id: "bf16",
  bytes: 2,
  encode: (values, target) => void f32ToBf16Array(values, halves(target)),
  decode: (bytes, target) => void bf16ToF32Array(halves(bytes), target),
};

/**
 * Plain floats in 16-row tiles, [column][16 rows]. Packing rounds to nearest even and refuses what becomes infinite.
 */
function floatCodec(format: FloatFormat): Codec {
  const { id } = format;
  const contentBytes = (cols: number) => cols * TILE_ROWS * format.bytes;
  const stride = (cols: number) => tileStride(contentBytes(cols));

  function packedBytes(rows: number, cols: number): number {
    checkShape(id, rows, cols);
    return tilesOf(rows) * stride(cols);
  }

  function pack(quantized: Quantized): Uint8Array {
    if (quantized.kind !== "float") throw new TypeError(`${id}: expected values, found ${quantized.kind} codes`);
    const { rows, cols, values } = quantized;
    const bytes = new Uint8Array(packedBytes(rows, cols));
    checkLength(`${id} values`, values.length, rows * cols);
    const tile = new Float32Array(cols * TILE_ROWS);
    for (let first = 0; first < rows; first += TILE_ROWS) {
      tile.fill(0);
      for (let row = first; row < Math.min(first + TILE_ROWS, rows); row++) {
        for (let col = 0; col < cols; col++) tile[col * TILE_ROWS + row - first] = values[row * cols + col];
      }
      const start = (first / TILE_ROWS) * stride(cols);
      const target = bytes.subarray(start, start + contentBytes(cols));
      format.encode(tile, target);
      format.decode(target, tile);
      checkFinite(id, tile, first);
    }
    return bytes;
  }

  /** Copies rows [from, to) into `out`, element (row, col) at row * rowStep + col * colStep. */
  function unpack(packed: PackedShape, from: number, to: number, out: Float32Array, rowStep: number, colStep: number) {
    const { rows, cols } = packed;
    checkLength(`${id} bytes`, packed.bytes.length, packedBytes(rows, cols));
    const spans = tileSpans(rows, from, to);
    const { firstTile, bytes } = alignedTiles(packed, stride(cols), from, to);
    const numbers = new Float32Array(cols * TILE_ROWS);
    for (const span of spans) {
      const start = (span.tile - firstTile) * stride(cols);
      format.decode(bytes.subarray(start, start + contentBytes(cols)), numbers);
      copyTile(numbers, span, cols, out, rowStep, colStep);
    }
    return out;
  }

  return {
    id,
    bits: 8 * format.bytes,
    group: null,
    scheme: "float",
    scaleKind: null,
    levels: null,
    kept: null,
    gguf: id.toUpperCase(),
    packedBytes,
    packedParts: (rows, cols) => {
      const levels = tilesOf(rows) * contentBytes(cols);
      return { levels, scales: 0, padding: packedBytes(rows, cols) - levels };
    },
    groupsPerRow: () => 0,
    pack,
    unpackRows: (packed, from, to, out) =>
      unpack(packed, from, to, outputOf(out, (to - from) * packed.cols), packed.cols, 1),
    unpackTransposed: (packed, from, to, out) =>
      unpack(packed, from, to, outputOf(out, (to - from) * packed.cols), 1, to - from),
  };
}

/** Copies a tile's rows, given [column][16 rows], to their places in `out`. */
function copyTile(
  numbers: Float32Array,
  span: TileSpan,
  cols: number,
  out: Float32Array,
  rowStep: number,
  colStep: number,
): void {
  const { rowFrom, rowTo, target } = span;
  for (let col = 0; col < cols; col++) {
    let at = target * rowStep + col * colStep;
    for (let i = col * TILE_ROWS + rowFrom; i < col * TILE_ROWS + rowTo; i++, at += rowStep) out[at] = numbers[i];
  }
}

/** An infinity in a packed matrix would poison every run; quantizers refuse it with the matrix's name. */
function checkFinite(id: string, tile: Float32Array, firstRow: number): void {
  const at = tile.findIndex((x) => !Number.isFinite(x));
  if (at < 0) return;
  const row = firstRow + (at % TILE_ROWS);
  throw new RangeError(`${id}: row ${row}, column ${Math.floor(at / TILE_ROWS)}: no finite ${id} number`);
}

/** IEEE binary32, binary16 and bfloat16, under their ids. */
export const FLOAT_CODECS = { f32: floatCodec(F32), f16: floatCodec(F16), bf16: floatCodec(BF16) } as const;
