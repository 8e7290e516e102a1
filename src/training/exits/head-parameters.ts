import type { ExitWeights } from "../../artifact/exits/file.ts";
import type { ExitRecord } from "../../artifact/exits/table.ts";
import type { OutputVectors } from "../../model/output-vectors.ts";
import { roundToF16 } from "../../tensor/half.ts";
import type { Random } from "../../tensor/random.ts";
import type { HeadRows } from "./vocabulary.ts";

/** What kinds of exit heads are trained: `shared` ones have nothing to learn. */
export type HeadKind = Exclude<ExitRecord["kind"], "shared">;

/** Names of a head's numbers, as in the exits file. */
type ParameterName = "norm" | "norm_bias" | "down" | "up" | "matrix" | "tail";

/** One array of numbers of a head. */
interface Parameter {
  readonly name: ParameterName;
  readonly shape: readonly [number, number] | readonly [number];
  readonly values: Float32Array;
  /** False: it stays as it is. */
  readonly learned: boolean;
  /** Whether weight decay draws it to zero. */
  readonly decays: boolean;
  /** How it is stored. */
  readonly dtype: "F32" | "F16";
}

/**
 * All numbers of one exit head: `norm` (+ `norm_bias`) [hiddenSize]; an adapter's `down` [rank, hiddenSize] and `up`
 * [hiddenSize, rank], the head then being x' = x + up(silu(down(x))) on the normed rows before the shared rows of the
 * output head; a linear head's own `matrix` [ids, hiddenSize]; `tail` [hiddenSize + 1], weight and bias of the logit
 * for all other ids.
 */
export type HeadParameters = readonly Parameter[];

/** What all heads of a model start from. */
export interface HeadStart {
  readonly kind: HeadKind;
  /** Of adapters. */
  readonly rank: number;
  readonly rows: HeadRows;
  /** The norm before the model's output head. */
  readonly norm: OutputVectors["norm"];
}

/**
 * A head that has learned nothing: exactly the logit lens (final norm, output head) on its ids, since an adapter's `up`
 * is zero. An adapter's norm is learned with it; a linear head keeps the final norm, whose weight its matrix could take
 * in anyway.
 */
export function startHead({ kind, rank, rows, norm }: HeadStart, random: Random): HeadParameters {
  const hiddenSize = norm.weight.length;
  const learned = kind === "adapter";
  const vector = (name: ParameterName, values: Float32Array, moves: boolean): Parameter => ({
    ...{ name, shape: [values.length], values: values.slice(), learned: moves, decays: false, dtype: "F32" },
  });
  const matrix = (name: ParameterName, height: number, width: number, values: Float32Array): Parameter => ({
    ...{ name, shape: [height, width], values, learned: true, decays: true, dtype: "F16" },
  });
  const parameters = [vector("norm", norm.weight, learned)];
  if (norm.bias) parameters.push(vector("norm_bias", norm.bias, learned));
  if (kind === "adapter") {
    const deviation = 1 / Math.sqrt(hiddenSize);
    const down = Float32Array.from({ length: rank * hiddenSize }, () => deviation * random.nextNormal());
    parameters.push(matrix("down", rank, hiddenSize, down));
    parameters.push(matrix("up", hiddenSize, rank, new Float32Array(hiddenSize * rank)));
  } else {
    parameters.push(matrix("matrix", rows.matrix.length / hiddenSize, hiddenSize, rows.matrix.slice()));
  }
  if (rows.tail) parameters.push(vector("tail", Float32Array.of(...rows.tail.weight, rows.tail.bias), true));
  return parameters;
}

/** What is left of the logit lens in a quiet head. */
const LENS_SHARE = 0.1;

/**
 * An adapter that says little: the lens scaled down by its norm, `down` scaled up so that it sees the same rows. Where
 * early states speak another basis than the output head, training from here need not unlearn the lens's confident wrong
 * answers first. A linear head is given as it is.
 */
export function quietLens(parameters: HeadParameters): HeadParameters {
  if (!parameters.some(({ name }) => name === "down")) return parameters;
  const factors = new Map<ParameterName, number>([
    ["norm", LENS_SHARE],
    ["norm_bias", LENS_SHARE],
    ["down", 1 / LENS_SHARE],
  ]);
  return parameters.map((one) => ({ ...one, values: one.values.map((value) => value * (factors.get(one.name) ?? 1)) }));
}

/** The head as it is stored and will be read: what ships as f16 rounded to it. */
export function storedHead(parameters: HeadParameters): HeadParameters {
  return parameters.map((one) => (one.dtype === "F16" ? { ...one, values: one.values.map(roundToF16) } : one));
}

/** A head's numbers as the exits file takes them. */
export function exitWeightsOf(parameters: HeadParameters): ExitWeights & { readonly norm: Float32Array } {
  const numbers = new Map(parameters.map(({ name, values }) => [name, values]));
  const norm = numbers.get("norm");
  if (!norm) throw new Error("exits: the head has no norm");
  const part = (name: ParameterName) => numbers.get(name) ?? null;
  return {
    ...{ norm, normBias: part("norm_bias"), tail: part("tail") },
    ...{ down: part("down"), up: part("up"), matrix: part("matrix") },
  };
}
