import { type DecoderSpec, type LinearSpec, linearsOf } from "../model/decoder-spec.ts";
import { idOf } from "../model/matrix-id.ts";
import type { Matrix } from "../model/weight-source.ts";
import type { ExitAdapter, ExitHead, ExitNorm, LowRankPart } from "./executor.ts";

/** Throws unless every part of an adapter fits a matrix of the model, and no matrix has two. */
export function checkAdapter(spec: DecoderSpec, name: string, parts: readonly LowRankPart[]): void {
  const seen = new Set<string>();
  for (const { block, role, rank, a, b, factor } of parts) {
    const label = `adapter ${name}: ${idOf(block, role)}`;
    const linear = linearOf(spec, { block, role });
    if (!linear) throw new Error(`${label}: the model has no such matrix`);
    if (seen.has(label)) throw new Error(`${label}: expected once, found twice`);
    seen.add(label);
    if (!Number.isInteger(rank) || rank < 1) throw new Error(`${label}: expected a rank from 1 up, found ${rank}`);
    expectLength(`${label}: a`, a, rank * linear.cols);
    expectLength(`${label}: b`, b, rank * linear.rows);
    if (!Number.isFinite(factor)) throw new Error(`${label}: expected a finite factor, found ${factor}`);
  }
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

/** Name of the output head among the heads. */
export const OUTPUT_HEAD = "output";

function linearOf(spec: DecoderSpec, { block, role }: Pick<LowRankPart, "block" | "role">): LinearSpec | undefined {
  const found = spec.blocks[block];
  return found && linearsOf(found).find((one) => one.role === role)?.linear;
}

function expectLength(label: string, numbers: Float32Array, expected: number): void {
  if (numbers.length !== expected) throw new Error(`${label}: expected ${expected} numbers, found ${numbers.length}`);
}
