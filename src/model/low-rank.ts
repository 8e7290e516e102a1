import { expectLength } from "../tensor/expect-length.ts";
import { type DecoderSpec, type LinearSpec, linearsOf } from "./decoder-spec.ts";
import { type BlockRole, idOf } from "./matrix-id.ts";

/** A low-rank addition to one matrix: y += factor * B (A x), computed in f32 beside the packed product. */
export interface LowRankPart {
  readonly block: number;
  readonly role: BlockRole;
  readonly rank: number;
  /** [rank, cols of the matrix] */
  readonly a: Float32Array;
  /** [rows of the matrix, rank] */
  readonly b: Float32Array;
  readonly factor: number;
}

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

function linearOf(spec: DecoderSpec, { block, role }: Pick<LowRankPart, "block" | "role">): LinearSpec | undefined {
  const found = spec.blocks[block];
  return found && linearsOf(found).find((one) => one.role === role)?.linear;
}

/** Whether two arrays hold the same numbers. */
export function sameNumbers(one: Float32Array, other: Float32Array): boolean {
  return one === other || (one.length === other.length && one.every((value, i) => value === other[i]));
}
