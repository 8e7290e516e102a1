import { UserError } from "../errors.ts";
import { BitReader, crc32, inverseTransform, readCodeTables } from "./bzip2-parts.ts";

/** The largest text that is decompressed. */
const MAX_BYTES = 256 * 1024 * 1024;
const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
/** Symbols under one Huffman table. */
const GROUP = 50;

/** True where the bytes begin as a bzip2 file does. */
export function isBzip2(bytes: Uint8Array): boolean {
  return bytes.length > 3 && bytes[0] === 0x42 && bytes[1] === 0x5a && bytes[2] === 0x68;
}

/**
 * What a bzip2 file holds; Node brings no decoder for it. Every block's check sum is verified. Throws UserError BZIP2 where the bytes are
 * damaged, of an obsolete kind (randomised blocks), or hold more than 256 MiB.
 */
export function decompressBzip2(bytes: Uint8Array, label: string): Uint8Array {
  const bits = new BitReader(bytes);
  const parts: Uint8Array[] = [];
  let total = 0;
  try {
    while (!bits.atEnd()) {
      for (const part of streamBlocks(bits)) {
        total += part.length;
        if (total > MAX_BYTES) throw new Error(`expected at most ${MAX_BYTES} bytes, found more`);
        parts.push(part);
      }
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new UserError(
      "BZIP2",
      `${label}: bzip2: ${error.message}`,
      "fetch the file again, or unpack it with bunzip2",
    );
  }
  const out = new Uint8Array(total);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

/** The blocks of one stream, each decoded; leaves the reader behind the stream. */
function* streamBlocks(bits: BitReader): Generator<Uint8Array> {
  if (bits.read(24) !== 0x425a68) throw new Error("first bytes: expected BZh, found others");
  const level = bits.read(8) - 0x30;
  if (level < 1 || level > 9) throw new Error(`block size: expected 1 to 9, found ${level}`);
  const blockBytes = level * 100_000;
  while (true) {
    const magic = bits.read(24) * 2 ** 24 + bits.read(24);
    const sum = bits.readWord();
    if (magic === END_MAGIC) break;
    if (magic !== BLOCK_MAGIC) throw new Error("expected the start of a block, found other bits");
    const block = decodeBlock(bits, blockBytes);
    if (crc32(block) !== sum) throw new Error("check sum of a block: expected another, the bytes are damaged");
    yield block;
  }
  bits.align();
}

function decodeBlock(bits: BitReader, blockBytes: number): Uint8Array {
  if (bits.read(1) !== 0) throw new Error("randomised blocks: expected none, found one");
  const origin = bits.read(24);
  const symbols = readSymbols(bits);
  const tables = readCodeTables(bits, symbols.length + 2);
  const end = symbols.length + 1;
  const column = new Uint8Array(blockBytes);
  let filled = 0;
  let run = 0;
  let weight = 1;
  for (let at = 0; ; at++) {
    const symbol = tables.at(Math.floor(at / GROUP)).decode(bits);
    if (symbol < 2) {
      // Runs are numbers in base 2 with the digits 1 and 2, the lowest first.
      run += weight * (symbol + 1);
      weight *= 2;
      if (run > blockBytes) throw new Error("block: expected no more bytes than announced, found more");
      continue;
    }
    if (filled + run + (symbol === end ? 0 : 1) > blockBytes) {
      throw new Error("block: expected no more bytes than announced, found more");
    }
    if (run > 0) {
      column.fill(symbols[0], filled, filled + run);
      filled += run;
      run = 0;
      weight = 1;
    }
    if (symbol === end) break;
    const place = symbol - 1;
    const byte = symbols[place];
    for (let i = place; i > 0; i--) symbols[i] = symbols[i - 1]; // mostly a few steps: faster than copyWithin
    symbols[0] = byte;
    column[filled++] = byte;
  }
  return expandRuns(inverseTransform(column.subarray(0, filled), origin));
}

/** The bytes that occur in a block, ascending: the start of its move-to-front list. */
function readSymbols(bits: BitReader): Uint8Array {
  const ranges = bits.read(16);
  const found: number[] = [];
  for (let range = 0; range < 16; range++) {
    if (((ranges >> (15 - range)) & 1) === 0) continue;
    const used = bits.read(16);
    for (let i = 0; i < 16; i++) if (((used >> (15 - i)) & 1) === 1) found.push(16 * range + i);
  }
  if (found.length === 0) throw new Error("block: expected bytes that occur, found none");
  return Uint8Array.from(found);
}

/** Undoes the first step of the compressor: four equal bytes are followed by how many more there are. */
function expandRuns(bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(walkRuns(bytes, null));
  walkRuns(bytes, out);
  return out;
}

/** Writes the bytes with their runs to `out`, if there is one; returns their number. */
function walkRuns(bytes: Uint8Array, out: Uint8Array | null): number {
  let length = 0;
  let equal = 0;
  let last = -1;
  for (const byte of bytes) {
    if (equal === 4) {
      out?.fill(last, length, length + byte);
      length += byte;
      equal = 0;
      last = -1;
      continue;
    }
    equal = byte === last ? equal + 1 : 1;
    last = byte;
    if (out) out[length] = byte;
    length++;
  }
  return length;
}
