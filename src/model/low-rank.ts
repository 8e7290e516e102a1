import { expectLength } from "../tensor/expect-length.ts";
import { type DecoderSpec, type LinearSpec, linearsOf } from "./decoder-spec.ts";
import { type BlockRole, idOf, ROLES } from "./matrix-id.ts";

/** Highest rank: no matrix that is read has so few dimensions that more would be of use. */
export const MAX_RANK = 65536;

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
    if (!Number.isInteger(rank) || rank < 1 || rank > MAX_RANK) {
      throw new Error(`${label}: expected a rank from 1 to ${MAX_RANK}, found ${rank}`);
    }
    expectLength(`${label}: a`, a, rank * linear.cols);
    expectLength(`${label}: b`, b, rank * linear.rows);
    if (!Number.isFinite(factor)) throw new Error(`${label}: expected a finite factor, found ${factor}`);
  }
}

/** The matrix that a part is for; undefined where the model has none. */
export function linearOf(
  spec: DecoderSpec,
  { block, role }: Pick<LowRankPart, "block" | "role">,
): LinearSpec | undefined {
  const found = spec.blocks[block];
  return found && linearsOf(found).find((one) => one.role === role)?.linear;
}

/** Whether two arrays hold the same numbers. */
export function sameNumbers(one: Float32Array, other: Float32Array): boolean {
  return one === other || (one.length === other.length && one.every((value, i) => value === other[i]));
}

/** Parts by block and, within one, by role. */
export function inExecutionOrder(parts: readonly LowRankPart[]): LowRankPart[] {
  return parts.toSorted((one, other) => one.block - other.block || ROLES.indexOf(one.role) - ROLES.indexOf(other.role));
}

/**
 * What two adapters add together, in execution order: of a matrix that both have, one part of both ranks, the rows of
 * both A under each other and the columns of both B beside each other.
 */
export function sumParts(some: readonly LowRankPart[], others: readonly LowRankPart[]): LowRankPart[] {
  const sum = new Map(some.map((part) => [idOf(part.block, part.role), part]));
  for (const part of others) {
    const id = idOf(part.block, part.role);
    const own = sum.get(id);
    sum.set(id, own ? joined(own, part) : part);
  }
  return inExecutionOrder([...sum.values()]);
}

function joined(one: LowRankPart, other: LowRankPart): LowRankPart {
  const rank = one.rank + other.rank;
  const rows = one.b.length / one.rank;
  const a = new Float32Array(one.a.length + other.a.length);
  a.set(one.a);
  a.set(other.a, one.a.length);
  const b = new Float32Array(rows * rank);
  const factor = one.factor === other.factor ? one.factor : 1;
  let from = 0;
  for (const part of [one, other]) {
    const scale = part.factor / factor;
    for (let row = 0; row < rows; row++) {
      for (let r = 0; r < part.rank; r++) b[row * rank + from + r] = scale * part.b[row * part.rank + r];
    }
    from += part.rank;
  }
  return { ...one, rank, factor, a, b };
}
