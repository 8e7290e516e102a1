/** Longest code of a bzip2 Huffman table. */
const MAX_CODE_BITS = 20;

/** Bits of a byte array, the highest of a byte first. Throws an Error behind the end. */
export class BitReader {
  private readonly bytes: Uint8Array;
  private at = 0;
  private held = 0;
  private heldBits = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The next `count` bits, at most 24, as a number. */
  read(count: number): number {
    while (this.heldBits < count) {
      if (this.at >= this.bytes.length) throw new Error("expected more bytes, found the end");
      this.held = ((this.held << 8) | this.bytes[this.at++]) >>> 0;
      this.heldBits += 8;
    }
    this.heldBits -= count;
    const value = (this.held >>> this.heldBits) & (2 ** count - 1);
    // Bits that were given out must not reach the top, where the next shift would lose them.
    this.held &= 2 ** this.heldBits - 1;
    return value;
  }

  /** The next 32 bits. */
  readWord(): number {
    return this.read(16) * 65536 + this.read(16);
  }

  /** Goes on at the next whole byte. */
  align(): void {
    this.heldBits -= this.heldBits % 8;
    this.held &= 2 ** this.heldBits - 1;
  }

  atEnd(): boolean {
    return this.heldBits === 0 && this.at >= this.bytes.length;
  }
}

/** A canonical Huffman code, decoded a bit at a time by the first code of every length. */
export class CodeTable {
  private readonly symbols: number[] = [];
  private readonly counts = new Int32Array(MAX_CODE_BITS + 1);

  /** lengths: bits of each symbol's code. */
  constructor(lengths: readonly number[]) {
    for (let bits = 1; bits <= MAX_CODE_BITS; bits++) {
      lengths.forEach((length, symbol) => {
        if (length !== bits) return;
        this.symbols.push(symbol);
        this.counts[bits]++;
      });
    }
  }

  decode(bits: BitReader): number {
    let code = 0;
    let first = 0;
    let index = 0;
    for (let length = 1; length <= MAX_CODE_BITS; length++) {
      code = code * 2 + bits.read(1);
      first *= 2;
      const count = this.counts[length];
      if (code - first < count) return this.symbols[index + code - first];
      index += count;
      first += count;
    }
    throw new Error("block: expected a code of its table, found none");
  }
}

/** Tables of a block, and which of them serves each group of symbols. */
export interface CodeTables {
  at(group: number): CodeTable;
}

/** Reads the selectors and code lengths of a block. */
export function readCodeTables(bits: BitReader, symbols: number): CodeTables {
  const tableCount = bits.read(3);
  const selectorCount = bits.read(15);
  if (tableCount < 2 || tableCount > 6 || selectorCount < 1) throw new Error("block: expected 2 to 6 code tables");
  const order = [0, 1, 2, 3, 4, 5].slice(0, tableCount);
  const selectors = Array.from({ length: selectorCount }, () => {
    let place = 0;
    while (bits.read(1) === 1) place++;
    if (place >= tableCount) throw new Error(`block: expected a code table below ${tableCount}, found ${place}`);
    const [table] = order.splice(place, 1);
    order.unshift(table);
    return table;
  });
  const tables = Array.from({ length: tableCount }, () => new CodeTable(readLengths(bits, symbols)));
  return {
    at(group) {
      if (group >= selectors.length) throw new Error("block: expected its end, found more symbols");
      return tables[selectors[group]];
    },
  };
}

function readLengths(bits: BitReader, symbols: number): number[] {
  let length = bits.read(5);
  return Array.from({ length: symbols }, () => {
    while (bits.read(1) === 1) length += bits.read(1) === 1 ? -1 : 1;
    if (length < 1 || length > MAX_CODE_BITS) throw new Error(`block: code length: expected 1 to 20, found ${length}`);
    return length;
  });
}

/** Undoes the Burrows-Wheeler transform; `origin`: row of the sorted rotations that is the text itself. */
export function inverseTransform(column: Uint8Array, origin: number): Uint8Array {
  if (origin >= column.length) throw new Error("block: expected a first byte inside it, found one outside");
  const starts = new Int32Array(256);
  for (const byte of column) starts[byte]++;
  let sum = 0;
  for (let byte = 0; byte < 256; byte++) {
    const count = starts[byte];
    starts[byte] = sum;
    sum += count;
  }
  const next = new Int32Array(column.length);
  for (let i = 0; i < column.length; i++) next[starts[column[i]]++] = i;
  const out = new Uint8Array(column.length);
  let row = next[origin];
  for (let i = 0; i < out.length; i++) {
    out[i] = column[row];
    row = next[row];
  }
  return out;
}

/** Polynomial 0x04c11db7, the highest bit first, as bzip2 takes it. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte << 24;
  for (let i = 0; i < 8; i++) value = value < 0 ? (value << 1) ^ 0x04c11db7 : value << 1;
  return value;
});

/** bzip2's check sum of a block. */
export function crc32(bytes: Uint8Array): number {
  let crc = -1;
  for (const byte of bytes) crc = (crc << 8) ^ CRC_TABLE[((crc >>> 24) ^ byte) & 255];
  return ~crc >>> 0;
}
