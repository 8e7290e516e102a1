import type { DecoderSpec, NormSpec } from "../model/decoder-spec.ts";
import type { Matrix } from "../model/weight-source.ts";
import { expectLength } from "../tensor/expect-length.ts";

/** Name of the output head among the heads. */
export const OUTPUT_HEAD = "output";

/**
 * An exit head: a norm (null: none), maybe a low-rank residual, then a matrix [ids, hiddenSize] over the vocabulary or
 * a subset of its ids, and maybe one more logit.
 */
export interface ExitHead {
  readonly norm: ExitNorm | null;
  readonly adapter: ExitAdapter | null;
  readonly matrix: Matrix;
  /** [ids] */
  readonly bias: Float32Array | null;
  readonly tail: ExitTail | null;
}

/** A low-rank residual on the normed rows: x + up(silu(down(x))), in f32. */
export interface ExitAdapter {
  readonly rank: number;
  /** [rank, hiddenSize] */
  readonly down: Matrix;
  /** [hiddenSize, rank] */
  readonly up: Matrix;
}

/** The last logit of a head over some ids: that the answer is none of them. */
export interface ExitTail {
  /** [hiddenSize] */
  readonly weight: Float32Array;
  readonly bias: number;
}

export interface ExitNorm {
  readonly spec: NormSpec;
  readonly weight: Float32Array;
  /** Layer norm only. */
  readonly bias: Float32Array | null;
}

export interface LogitsOptions {
  /** False leaves the norm out: the rows are taken as normed ones. */
  readonly norm?: boolean | undefined;
  /** An exit head that `loadHead` has loaded under this name; default: the output head. */
  readonly head?: string | undefined;
  /** Written and returned in place of a new array, where its length is that of the result. */
  readonly into?: Float32Array | undefined;
}

/** Throws unless an exit head reads hidden states of the model and is not called as the output head. */
export function checkExitHead(spec: DecoderSpec, name: string, head: ExitHead): void {
  const { norm, adapter, matrix, bias, tail } = head;
  const label = `head ${name}`;
  if (name === OUTPUT_HEAD) throw new Error(`${label}: the name is the output head's`);
  if (matrix.cols !== spec.hiddenSize) {
    throw new Error(`${label}: expected ${spec.hiddenSize} columns, found ${matrix.cols}`);
  }
  if (matrix.kind === "dense") expectLength(`${label}: matrix`, matrix.data, matrix.rows * matrix.cols);
  if (bias) expectLength(`${label}: bias`, bias, matrix.rows);
  if (norm) checkExitNorm(spec, label, norm);
  if (adapter) checkExitAdapter(spec, label, adapter);
  if (!tail) return;
  expectLength(`${label}: tail weight`, tail.weight, spec.hiddenSize);
  if (!Number.isFinite(tail.bias)) throw new Error(`${label}: tail: expected a finite bias, found ${tail.bias}`);
}

function checkExitNorm({ hiddenSize }: DecoderSpec, label: string, { spec, weight, bias }: ExitNorm): void {
  expectLength(`${label}: norm weight`, weight, hiddenSize);
  if (spec.kind === "rms") {
    if (bias) throw new Error(`${label}: norm: an rms norm has no bias`);
  } else if (bias) expectLength(`${label}: norm bias`, bias, hiddenSize);
  else throw new Error(`${label}: norm: a layer norm has a bias`);
}

function checkExitAdapter({ hiddenSize }: DecoderSpec, label: string, { rank, down, up }: ExitAdapter): void {
  if (!Number.isInteger(rank) || rank < 1) {
    throw new Error(`${label}: adapter: expected a rank from 1 up, found ${rank}`);
  }
  expectShape(`${label}: adapter: down`, down, rank, hiddenSize);
  expectShape(`${label}: adapter: up`, up, hiddenSize, rank);
}

function expectShape(label: string, matrix: Matrix, rows: number, cols: number): void {
  if (matrix.rows !== rows || matrix.cols !== cols) {
    throw new Error(`${label}: expected ${rows} x ${cols}, found ${matrix.rows} x ${matrix.cols}`);
  }
  if (matrix.kind === "dense") expectLength(label, matrix.data, rows * cols);
}
