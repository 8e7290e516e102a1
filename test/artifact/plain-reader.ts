import { readFileSync } from "node:fs";
import path from "node:path";
import { CODECS, codecIdOf } from "../../src/codecs/index.ts";
import { slowValueAt } from "../codecs/slow-twin.ts";

interface PlainTensor {
  readonly kind: "matrix" | "vector" | "padding";
  readonly name: string;
  readonly file: string;
  readonly offset: number;
  readonly bytes: number;
  readonly codec: string;
  readonly rows: number;
  readonly cols: number;
  readonly length: number;
}

/**
 * A reader written from docs/artifact-format.md alone, one number at a time: what a program in another language would
 * do. Gives every matrix and vector in f32 by name.
 */
export function readPlainly(folder: string): Map<string, Float32Array> {
  const manifest: { tensors: PlainTensor[] } = JSON.parse(readFileSync(path.join(folder, "manifest.json"), "utf8"));
  const found = new Map<string, Float32Array>();
  for (const tensor of manifest.tensors) {
    const bytes = readFileSync(path.join(folder, tensor.file)).subarray(tensor.offset, tensor.offset + tensor.bytes);
    if (tensor.kind === "padding") {
      if (bytes.some((byte) => byte !== 0)) throw new Error(`${tensor.name} is not zero`);
      continue;
    }
    found.set(tensor.name, tensor.kind === "vector" ? vectorOf(bytes, tensor.length) : matrixOf(bytes, tensor));
  }
  return found;
}

function vectorOf(bytes: Buffer, length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => bytes.readFloatLE(4 * i));
}

function matrixOf(bytes: Buffer, { codec, rows, cols }: PlainTensor): Float32Array {
  const form = CODECS[codecIdOf(codec)];
  return Float32Array.from({ length: rows * cols }, (_, i) =>
    slowValueAt(form, bytes, cols, Math.floor(i / cols), i % cols),
  );
}

/** The exits file by the same page: every tensor's numbers by name. */
export function readExitsPlainly(folder: string): Map<string, number[]> {
  const bytes = readFileSync(path.join(folder, "exits.safetensors"));
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header: Record<string, { dtype: string; data_offsets: [number, number] }> = JSON.parse(
    bytes.toString("utf8", 8, 8 + headerBytes),
  );
  const tensors = Object.entries(header).filter(([name]) => name !== "__metadata__");
  return new Map(
    tensors.map(([name, { dtype, data_offsets: offsets }]) => {
      const [from, to] = offsets.map((at) => 8 + headerBytes + at);
      const data = bytes.subarray(from, to);
      const size = dtype === "F16" ? 2 : 4;
      const read = (i: number) =>
        dtype === "I32" ? data.readInt32LE(4 * i) : dtype === "F32" ? data.readFloatLE(4 * i) : halfAt(data, 2 * i);
      return [name, Array.from({ length: data.length / size }, (_, i) => read(i))];
    }),
  );
}

/** A finite IEEE binary16 number. */
function halfAt(bytes: Buffer, at: number): number {
  const bits = bytes.readUInt16LE(at);
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  const size = exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25);
  return bits >> 15 ? -size : size;
}
