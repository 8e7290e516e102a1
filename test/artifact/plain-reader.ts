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
 * A reader written from docs/artifact-format.md alone, one number at a time: what a program in another language would do.
 * Gives every matrix and vector in f32 by name.
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
