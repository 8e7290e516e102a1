import { describe, expect, it } from "vitest";
import { canLose, keptCounts, type SliceCount } from "../../src/pruning/counts.ts";
import { Random } from "../../src/tensor/random.ts";

const same = (count: SliceCount, blocks: number) => Array.from({ length: blocks }, () => count);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

describe("keptCounts", () => {
  it("keeps whole steps, and over all blocks what was asked for", () => {
    const kept = keptCounts(same({ slices: 1536, step: 32, least: 32 }, 30), Array(30).fill(0.2));
    expect(new Set(kept)).toEqual(new Set([1216, 1248]));
    expect(Math.abs(sum(kept) - 30 * 1536 * 0.8)).toBeLessThanOrEqual(16);
  });

  it("takes single slices evenly from the model where all blocks have the same ratio", () => {
    const kept = keptCounts(same({ slices: 1, step: 1, least: 0 }, 30), Array(30).fill(0.1));
    expect(kept.flatMap((slices, block) => (slices === 0 ? [block] : []))).toEqual([4, 14, 24]);
  });

  it("takes single slices where the ratios are largest", () => {
    const kept = keptCounts(same({ slices: 1, step: 1, least: 0 }, 5), [0.1, 0.5, 0.4, 0.9, 0.1]);
    expect(kept).toEqual([1, 0, 1, 0, 1]);
  });

  it("is everything at 0, and never less than the least", () => {
    const odd = { slices: 172, step: 32, least: 32 };
    expect(keptCounts([odd, odd], [0, 0])).toEqual([172, 172]);
    expect(keptCounts([odd, odd], [0.95, 0.95])).toEqual([32, 32]);
    expect(keptCounts([odd, null], [0.07, 0.5])).toEqual([160, 0]);
  });

  it("is within a step of each wish and half a step of the sum, for any ratios", () => {
    const random = new Random(5);
    for (let run = 0; run < 200; run++) {
      const blocks = 1 + random.nextInt(20);
      const count = { slices: 320, step: 32, least: 32 };
      const ratios = Array.from({ length: blocks }, () => 0.9 * random.next());
      const kept = keptCounts(same(count, blocks), ratios);
      for (const [block, slices] of kept.entries()) {
        expect(slices % 32).toBe(0);
        expect(Math.abs(slices - 320 * (1 - ratios[block]))).toBeLessThan(32);
      }
      expect(Math.abs(sum(kept) - sum(ratios.map((ratio) => 320 * (1 - ratio))))).toBeLessThanOrEqual(16 + 1e-6);
    }
  });
});

describe("canLose", () => {
  it("says whether there is a smaller number to keep", () => {
    expect(canLose(null)).toBe(false);
    expect(canLose({ slices: 32, step: 32, least: 32 })).toBe(false);
    expect(canLose({ slices: 33, step: 32, least: 32 })).toBe(true);
    expect(canLose({ slices: 1, step: 1, least: 1 })).toBe(false);
    expect(canLose({ slices: 1, step: 1, least: 0 })).toBe(true);
  });
});
