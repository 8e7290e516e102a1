import { type DecoderSpec, type LinearSpec, linearsOf } from "../model/decoder-spec.ts";
import type { ExitHead, LowRankPart } from "./executor.ts";

/** Throws unless every part of an adapter fits a matrix of the model, and no matrix has two. */
export function checkAdapter(spec: DecoderSpec, name: string, parts: readonly LowRankPart[]): void {
  const seen = new Set<string>();
  for (const { block, role, rank, a, b, factor } of parts) {
    const label = `adapter ${name}: blocks.${block}.${role}`;
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
export function checkExitHead(spec: DecoderSpec, name: string, { norm, matrix, bias }: ExitHead): void {
  const label = `head ${name}`;
  if (name === OUTPUT_HEAD) throw new Error(`${label}: the name is the output head's`);
  if (matrix.cols !== spec.hiddenSize) {
    throw new Error(`${label}: expected ${spec.hiddenSize} columns, found ${matrix.cols}`);
  }
  if (matrix.kind === "dense") expectLength(`${label}: matrix`, matrix.data, matrix.rows * matrix.cols);
  if (bias) expectLength(`${label}: bias`, bias, matrix.rows);
  if (!norm) return;
  expectLength(`${label}: norm weight`, norm.weight, spec.hiddenSize);
  if (norm.spec.kind === "rms") {
    if (norm.bias) throw new Error(`${label}: norm: an rms norm has no bias`);
  } else if (norm.bias) expectLength(`${label}: norm bias`, norm.bias, spec.hiddenSize);
  else throw new Error(`${label}: norm: a layer norm has a bias`);
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
