import type { NormSpec } from "../model/decoder-spec.ts";
import type { WeightSource } from "../model/weight-source.ts";

/** A norm with its numbers. */
export interface RowNorm {
  readonly spec: NormSpec;
  /** [size] */
  readonly weight: Float32Array;
  /** [size]; layer norm only. */
  readonly bias: Float32Array | null;
}

/** A norm of a source by the name that its vectors begin with. */
export async function readNorm(source: WeightSource, name: string, spec: NormSpec): Promise<RowNorm> {
  const weight = await source.readVector(`${name}.weight`);
  return { spec, weight, bias: spec.kind === "layer" ? await source.readVector(`${name}.bias`) : null };
}

/** Norms each row of x [rows, size] into a new array, as DecoderSpec's norms are defined, with sums in f64. */
export function normalizeRows(x: Float32Array, { spec, weight, bias }: RowNorm): Float32Array {
  const { kind, size, eps } = spec;
  const out = new Float32Array(x.length);
  for (let first = 0; first < x.length; first += size) {
    const row = x.subarray(first, first + size);
    const mean = kind === "layer" ? sumOf(row, (value) => value) / size : 0;
    const factor = 1 / Math.sqrt(sumOf(row, (value) => (value - mean) ** 2) / size + eps);
    for (let i = 0; i < size; i++) out[first + i] = (row[i] - mean) * factor * weight[i] + (bias ? bias[i] : 0);
  }
  return out;
}

function sumOf(row: Float32Array, term: (value: number) => number): number {
  let sum = 0;
  for (let i = 0; i < row.length; i++) sum += term(row[i]);
  return sum;
}
