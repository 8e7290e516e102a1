import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CODECS, type CodecId } from "../../src/codecs/index.ts";
import type { Allocator, BlockAllocator } from "../../src/planning/allocators/allocator.ts";
import { ALLOCATORS } from "../../src/planning/allocators/index.ts";
import { aboveMean } from "../../src/planning/allocators/luc.ts";
import type { BlockProblem } from "../../src/planning/problem/block-problem.ts";
import type { Assignment, MatrixToPlan } from "../../src/planning/problem/matrices.ts";

const CODEC_LADDER: readonly CodecId[] = ["bf16", "q8s-g32", "q4s-g32"];

/** One matrix a block, sizes stated: `sizes[block]` are its bytes at 16, 8 and 4 bits. */
function problem(importance: number[], sizes: number[][], fixedBytes: number, budgetBytes: number): BlockProblem {
  const matrices = sizes.map((_, block): MatrixToPlan => {
    const shape = { role: "mlp.up" as const, rows: 1, cols: 1, weights: 1 };
    return { id: `blocks.${block}.mlp.up`, block, candidates: CODEC_LADDER, rule: null, ...shape };
  });
  const bytesOf = (assignment: Assignment) =>
    matrices.reduce(
      (sum, matrix, block) => sum + sizes[block][CODEC_LADDER.indexOf(codecOf(assignment, matrix))],
      fixedBytes,
    );
  return { matrices, blocks: sizes.length, codecs: CODEC_LADDER, importance, budgetBytes, bytesOf };
}

function codecOf(assignment: Assignment, matrix: MatrixToPlan): CodecId {
  const codec = assignment.get(matrix.id);
  if (!codec) throw new Error(`nothing assigned to ${matrix.id}`);
  return codec;
}

function bitsOf(assignment: Assignment): number[] {
  return [...assignment.values()].map((codec) => CODECS[codec].bits);
}

describe("lsaq", () => {
  // A worked case of LSAQ (arXiv 2412.18135), least important block first.
  it.each([
    [450, [16, 16, 16, 16], 450],
    [449, [8, 16, 16, 16], 405],
    [300, [8, 8, 8, 8], 270],
    [270, [8, 8, 8, 8], 270],
    [269, [4, 8, 8, 8], 245],
    [170, [4, 4, 4, 4], 170],
  ])("with %d bytes gives %j and uses %d", (available, bits, used) => {
    const sizes = Array.from({ length: 4 }, () => [100, 55, 30]);
    const given = problem([0.1, 0.2, 0.3, 0.4], sizes, 50, available);
    const assignment = ALLOCATORS.lsaq.allocate(given);
    if (!assignment) throw new Error("does not fit");
    expect(bitsOf(assignment)).toEqual(bits);
    expect(given.bytesOf(assignment)).toBe(used);
  });

  it("with 169 bytes finds that nothing fits", () => {
    const sizes = Array.from({ length: 4 }, () => [100, 55, 30]);
    expect(ALLOCATORS.lsaq.allocate(problem([0.1, 0.2, 0.3, 0.4], sizes, 50, 169))).toBeNull();
  });
});

describe("luc", () => {
  /** Mean MSE of LLaMA-7B's 32 layers (EDGE-LLM, arXiv 2406.15758). */
  const SENSITIVITY = [
    0.0003278, 0.0005447, 0.0007381, 0.001221, 0.002189, 0.003014, 0.004121, 0.005372, 0.006237, 0.007262, 0.008765,
    0.01106, 0.01325, 0.01594, 0.01818, 0.02253, 0.03013, 0.03802, 0.04243, 0.04801, 0.05599, 0.05778, 0.06042, 0.06178,
    0.06399, 0.06761, 0.07484, 0.08193, 0.1018, 0.1442, 0.4983, 0.0,
  ];
  const HIGH = Array.from({ length: 32 }, (_, layer) => layer >= 20 && layer <= 30);

  it("gives layers 20 to 30 of the LLaMA-7B fixture the higher width", () => {
    const spread = Math.max(...SENSITIVITY) - Math.min(...SENSITIVITY);
    const normalised = SENSITIVITY.map((value) => (value - Math.min(...SENSITIVITY)) / spread);
    expect(aboveMean(normalised)).toEqual(HIGH);
    expect(aboveMean(SENSITIVITY)).toEqual(HIGH);
    const sizes = SENSITIVITY.map(() => [100, 55, 30]);
    const assignment = ALLOCATORS.luc.allocate(problem(SENSITIVITY, sizes, 0, 1e9));
    expect(assignment && bitsOf(assignment)).toEqual(HIGH.map((high) => (high ? 8 : 4)));
  });

  it("lowers the least sensitive of them to meet the budget", () => {
    const sizes = SENSITIVITY.map(() => [100, 55, 30]);
    const ruleBytes = 11 * 55 + 21 * 30;
    const assignment = ALLOCATORS.luc.allocate(problem(SENSITIVITY, sizes, 0, ruleBytes - 26));
    const bits = assignment ? bitsOf(assignment) : [];
    expect(bits.map((b) => b === 8)).toEqual(HIGH.map((high, layer) => high && layer > 21));
    expect(ALLOCATORS.luc.allocate(problem(SENSITIVITY, sizes, 0, 32 * 30 - 1))).toBeNull();
  });
});

describe("uniform", () => {
  it("takes the widest codec that all blocks can have", () => {
    const sizes = Array.from({ length: 4 }, () => [100, 55, 30]);
    const at = (budget: number) => ALLOCATORS.uniform.allocate({ ...problem([], sizes, 50, budget), importance: null });
    expect([450, 449, 269, 169].map((budget) => at(budget)?.get("blocks.0.mlp.up"))).toEqual([
      "bf16",
      "q8s-g32",
      "q4s-g32",
      undefined,
    ]);
  });
});

const isByBlock = (allocator: Allocator): allocator is BlockAllocator => allocator.grain.name === "block";
const BY_BLOCK = Object.entries(ALLOCATORS).flatMap(([id, allocator]): [string, BlockAllocator][] =>
  isByBlock(allocator) ? [[id, allocator]] : [],
);

describe.each(BY_BLOCK)("%s", (_, allocator) => {
  /** Blocks of unequal size: 16 bits cost most, 4 least. */
  const block = fc.tuple(
    fc.integer({ min: 1, max: 50 }),
    fc.integer({ min: 1, max: 50 }),
    fc.integer({ min: 1, max: 50 }),
  );
  const blocks = fc.array(fc.tuple(block, fc.float({ min: 0, max: 1, noNaN: true })), { minLength: 1, maxLength: 6 });
  const sizesOf = (list: [[number, number, number], number][]) => list.map(([[a, b, c]]) => [a + b + c, b + c, c]);

  it("is never over the budget, gives up only when nothing fits, and is monotone and ordered", () => {
    fc.assert(
      fc.property(blocks, fc.nat(400), fc.nat(100), (list, budget, more) => {
        const sizes = sizesOf(list);
        const importance = list.map(([, value]) => value);
        const least = sizes.reduce((sum, [, , small]) => sum + small, 7);
        const given = problem(importance, sizes, 7, budget);
        const assignment = allocator.allocate(given);
        expect(assignment === null).toBe(least > budget);
        if (!assignment) return;
        expect(given.bytesOf(assignment)).toBeLessThanOrEqual(budget);
        const richer = allocator.allocate({ ...given, budgetBytes: budget + more });
        const bits = bitsOf(assignment);
        const richerBits = richer ? bitsOf(richer) : [];
        bits.forEach((b, i) => {
          expect(richerBits[i]).toBeGreaterThanOrEqual(b);
        });
        for (let i = 0; i < bits.length; i++) {
          for (let j = 0; j < bits.length; j++) {
            if (importance[i] > importance[j]) expect(bits[i]).toBeGreaterThanOrEqual(bits[j]);
          }
        }
      }),
    );
  });
});
