import { f16ToF32, f32ToF16 } from "../../tensor/half.ts";
import { GGUF_TENSOR_TYPES, type GgufTensorType } from "./tensor-types.ts";

/** Types whose blocks hold 32 codes under one scale. */
export type GgufBlockType = Extract<GgufTensorType, `Q${string}`>;

/** True for a type of {@link GgufBlockType}. */
export function isBlockType(type: GgufTensorType): type is GgufBlockType {
  return type.startsWith("Q");
}

/** Numbers of some blocks: unsigned codes, 32 a block; value = scale * (code - middle), or scale * code + minimum. */
export interface BlockNumbers {
  readonly codes: Uint8Array;
  /** One a block, f16 numbers. */
  readonly scales: Float32Array;
  /** One a block; null for the types without. */
  readonly minima: Float32Array | null;
}

/**
 * What of a type decides its blocks: f16 scale, f16 minimum where `minimum`, fifth bits where bits is 5, then the low
 * bits.
 */
const FORMS: Readonly<Record<GgufBlockType, { readonly bits: 4 | 5 | 8; readonly minimum: boolean }>> = {
  Q4_0: { bits: 4, minimum: false },
  Q4_1: { bits: 4, minimum: true },
  Q5_0: { bits: 5, minimum: false },
  Q5_1: { bits: 5, minimum: true },
  Q8_0: { bits: 8, minimum: false },
};

const BLOCK = 32;

/** Blocks of a type from their numbers, one after the other. A plain Error where the lengths do not fit. */
export function encodeBlocks(type: GgufBlockType, { codes, scales, minima }: BlockNumbers): Uint8Array {
  const { bits, minimum } = FORMS[type];
  const { blockBytes } = GGUF_TENSOR_TYPES[type];
  const count = codes.length / BLOCK;
  if (scales.length !== count || (minima !== null) !== minimum || (minima && minima.length !== count)) {
    throw new Error(`${type}: ${codes.length} codes, ${scales.length} scales, ${minima?.length ?? "no"} minima`);
  }
  const bytes = new Uint8Array(count * blockBytes);
  const view = new DataView(bytes.buffer);
  for (let block = 0; block < count; block++) {
    let at = block * blockBytes;
    const first = block * BLOCK;
    view.setUint16(at, f32ToF16(scales[block]), true);
    at += 2;
    if (minima) {
      view.setUint16(at, f32ToF16(minima[block]), true);
      at += 2;
    }
    if (bits === 8) {
      for (let i = 0; i < BLOCK; i++) bytes[at + i] = codes[first + i] - 128;
      continue;
    }
    if (bits === 5) {
      view.setUint32(at, fifthBits(codes, first), true);
      at += 4;
    }
    // Value i has the low half of byte i, value i + 16 the high one.
    for (let i = 0; i < 16; i++) bytes[at + i] = (codes[first + i] & 15) | ((codes[first + 16 + i] & 15) << 4);
  }
  return bytes;
}

/** Bit i is the fifth bit of value i. */
function fifthBits(codes: Uint8Array, first: number): number {
  let word = 0;
  for (let i = 0; i < BLOCK; i++) word |= ((codes[first + i] >> 4) & 1) << i;
  return word >>> 0;
}

/** The numbers of blocks: what {@link encodeBlocks} was given. */
export function decodeBlocks(type: GgufBlockType, bytes: Uint8Array): BlockNumbers {
  const { bits, minimum } = FORMS[type];
  const { blockBytes } = GGUF_TENSOR_TYPES[type];
  const count = bytes.length / blockBytes;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const codes = new Uint8Array(count * BLOCK);
  const scales = new Float32Array(count);
  const minima = minimum ? new Float32Array(count) : null;
  for (let block = 0; block < count; block++) {
    let at = block * blockBytes;
    const first = block * BLOCK;
    scales[block] = f16ToF32(view.getUint16(at, true));
    at += 2;
    if (minima) {
      minima[block] = f16ToF32(view.getUint16(at, true));
      at += 2;
    }
    if (bits === 8) {
      for (let i = 0; i < BLOCK; i++) codes[first + i] = bytes[at + i] + 128;
      continue;
    }
    const high = bits === 5 ? view.getUint32(at, true) : 0;
    at += bits === 5 ? 4 : 0;
    for (let i = 0; i < BLOCK; i++) {
      const byte = bytes[at + (i & 15)];
      codes[first + i] = (i < 16 ? byte & 15 : byte >> 4) | (((high >>> i) & 1) << 4);
    }
  }
  return { codes, scales, minima };
}

/** The f32 values of blocks, each the exact result rounded once. */
export function blockValues(type: GgufBlockType, { codes, scales, minima }: BlockNumbers): Float32Array {
  const middle = 2 ** (FORMS[type].bits - 1);
  return Float32Array.from(codes, (code, i) => {
    const block = Math.floor(i / BLOCK);
    return minima ? scales[block] * code + minima[block] : scales[block] * (code - middle);
  });
}
