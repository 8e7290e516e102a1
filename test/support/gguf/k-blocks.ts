import { f16ToF32 } from "../../../src/tensor/half.ts";
import { GGUF_READ_TYPES, type GgufReadType } from "./stored-types.ts";

/** The unequal levels of IQ4_NL and IQ4_XS. */
const IQ4_LEVELS = Int8Array.of(-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113);

/** Writes the values of one block, whose first byte is `at`, to `out`. */
type DecodeBlock = (bytes: DataView, at: number, out: Float32Array) => void;

/**
 * How the types that are only read keep their numbers; layouts as in ggml-common.h, each value rounded to f32 once
 * after its scale.
 */
const DECODE: Readonly<Record<GgufReadType, DecodeBlock>> = {
  Q3_K: decodeQ3K,
  Q4_K: decodeQ4K,
  Q5_K: decodeQ5K,
  Q6_K: decodeQ6K,
  IQ4_NL: decodeIq4Nl,
  IQ4_XS: decodeIq4Xs,
};

/** The f32 values of blocks of a type that llama.cpp writes and layerwise only reads. */
export function readBlocks(type: GgufReadType, bytes: Uint8Array): Float32Array {
  const { blockValues, blockBytes } = GGUF_READ_TYPES[type];
  const count = bytes.length / blockBytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const values = new Float32Array(count * blockValues);
  for (let block = 0; block < count; block++) {
    DECODE[type](view, block * blockBytes, values.subarray(block * blockValues, (block + 1) * blockValues));
  }
  return values;
}

/** 64 bytes of two low bits and 32 of a third above them (0: minus 4); 16 scales of 6 bits; f16 scale. */
function decodeQ3K(bytes: DataView, at: number, out: Float32Array): void {
  const [high, low, scales] = [at, at + 32, at + 96];
  const whole = f16ToF32(bytes.getUint16(at + 108, true));
  for (let i = 0; i < 256; i++) {
    const group = i >> 4;
    // Scale g: four low bits in byte g mod 8, in its upper half from g = 8 on; two high bits in byte 8 + g mod 4 at
    // place g / 4.
    const nibble = (bytes.getUint8(scales + (group & 7)) >> (group < 8 ? 0 : 4)) & 15;
    const upper = (bytes.getUint8(scales + 8 + (group & 3)) >> (2 * (group >> 2))) & 3;
    const scale = Math.fround(whole * ((nibble | (upper << 4)) - 32));
    const lane = i & 31;
    const plane = i >> 5;
    const code = (bytes.getUint8(low + 32 * (i >> 7) + lane) >> (2 * (plane & 3))) & 3;
    const isSet = (bytes.getUint8(high + lane) >> plane) & 1;
    out[i] = scale * (code - (isSet ? 0 : 4));
  }
}

/** f16 scale and f16 minimum of the whole, then eight of 6 bits each for groups of 32; codes in nibbles, 32 apart. */
function decodeQ4K(bytes: DataView, at: number, out: Float32Array): void {
  for (let group = 0; group < 8; group++) {
    const { scale, minimum } = groupScale(bytes, at, group);
    for (let i = 0; i < 32; i++) {
      const byte = bytes.getUint8(at + 16 + 32 * (group >> 1) + i);
      out[32 * group + i] = scale * ((byte >> (4 * (group & 1))) & 15) - minimum;
    }
  }
}

/** As Q4_K with a fifth bit for each code: bit g of byte i for code i of group g. */
function decodeQ5K(bytes: DataView, at: number, out: Float32Array): void {
  for (let group = 0; group < 8; group++) {
    const { scale, minimum } = groupScale(bytes, at, group);
    for (let i = 0; i < 32; i++) {
      const byte = bytes.getUint8(at + 48 + 32 * (group >> 1) + i);
      const fifth = (bytes.getUint8(at + 16 + i) >> group) & 1;
      out[32 * group + i] = scale * (((byte >> (4 * (group & 1))) & 15) | (fifth << 4)) - minimum;
    }
  }
}

/** Scale and minimum of a group of 32 in Q4_K and Q5_K, each f16 times 6 bits. */
function groupScale(bytes: DataView, at: number, group: number): { scale: number; minimum: number } {
  const byte = (i: number) => bytes.getUint8(at + 4 + i);
  const isFirst = group < 4;
  const scale = isFirst ? byte(group) & 63 : (byte(group + 4) & 15) | ((byte(group - 4) >> 6) << 4);
  const minimum = isFirst ? byte(group + 4) & 63 : (byte(group + 4) >> 4) | ((byte(group) >> 6) << 4);
  return {
    scale: Math.fround(f16ToF32(bytes.getUint16(at, true)) * scale),
    minimum: Math.fround(f16ToF32(bytes.getUint16(at + 2, true)) * minimum),
  };
}

/** 128 bytes of low nibbles, 64 of two high bits, 16 int8 scales, f16 scale; codes minus 32. */
function decodeQ6K(bytes: DataView, at: number, out: Float32Array): void {
  const whole = f16ToF32(bytes.getUint16(at + 208, true));
  for (let i = 0; i < 256; i++) {
    const half = i >> 7;
    const quarter = (i >> 5) & 3;
    const lane = i & 31;
    const low = bytes.getUint8(at + 64 * half + 32 * (quarter & 1) + lane) >> (4 * (quarter >> 1));
    const high = bytes.getUint8(at + 128 + 32 * half + lane) >> (2 * quarter);
    const scale = Math.fround(whole * bytes.getInt8(at + 192 + (i >> 4)));
    out[i] = scale * (((low & 15) | ((high & 3) << 4)) - 32);
  }
}

/** f16 scale, 32 table codes in nibbles, 16 apart. */
function decodeIq4Nl(bytes: DataView, at: number, out: Float32Array): void {
  writeIq4(bytes, at + 2, f16ToF32(bytes.getUint16(at, true)), out);
}

/**
 * f16 scale, then for 8 groups of 32 a scale of 6 bits (two high ones in a 16-bit word, four low ones in nibbles) minus
 * 32.
 */
function decodeIq4Xs(bytes: DataView, at: number, out: Float32Array): void {
  const whole = f16ToF32(bytes.getUint16(at, true));
  const high = bytes.getUint16(at + 2, true);
  for (let group = 0; group < 8; group++) {
    const low = (bytes.getUint8(at + 4 + (group >> 1)) >> (4 * (group & 1))) & 15;
    const scale = Math.fround(whole * ((low | (((high >> (2 * group)) & 3) << 4)) - 32));
    writeIq4(bytes, at + 8 + 16 * group, scale, out.subarray(32 * group, 32 * group + 32));
  }
}

function writeIq4(bytes: DataView, at: number, scale: number, out: Float32Array): void {
  for (let i = 0; i < 16; i++) {
    const byte = bytes.getUint8(at + i);
    out[i] = scale * IQ4_LEVELS[byte & 15];
    out[i + 16] = scale * IQ4_LEVELS[byte >> 4];
  }
}
