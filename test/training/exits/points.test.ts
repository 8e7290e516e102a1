import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { checkedPoints, choosePoints, evenly, lensAgreement } from "../../../src/training/exits/points.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf } from "../../runtime/test-executors.ts";

describe("evenly", () => {
  it("is the paper's spacing, counted in blocks that have run", () => {
    // Block indexes 8, 16, 24 of 32 and 5, 11, 16, 22 of 28 (arXiv 2407.21082).
    expect(evenly(32, 3)).toEqual([9, 17, 25]);
    expect(evenly(28, 4)).toEqual([6, 12, 17, 23]);
    expect(evenly(2, 1)).toEqual([1]);
    expect(evenly(4, 3)).toEqual([1, 2, 3]);
  });

  it("rises and stays before the last block", () => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 90 }), fc.nat(), (blocks, seed) => {
        const points = evenly(blocks, 1 + (seed % (blocks - 1)));
        expect(checkedPoints(blocks, points)).toEqual(points);
      }),
    );
  });

  it("refuses more exits than there are places", () => {
    expect(() => evenly(4, 4)).toThrow(UserError);
    expect(() => evenly(4, 0)).toThrow(UserError);
  });
});

describe("checkedPoints", () => {
  it("sorts, and refuses what is no place for an exit", () => {
    expect(checkedPoints(30, [24, 8, 16])).toEqual([8, 16, 24]);
    for (const wrong of [[], [0], [30], [8, 8], [2.5]]) expect(() => checkedPoints(30, wrong)).toThrow(UserError);
  });
});

describe("choosePoints", () => {
  /** Blocks saved by the rule of the docstring. */
  function savedBy(agreement: readonly number[], points: readonly number[]): number {
    const rising = agreement.map((_, i) => Math.max(...agreement.slice(0, i + 1)));
    const share = (point: number | undefined) => (point === undefined ? 0 : rising[point - 1]);
    return points.reduce((sum, point, i) => {
      return sum + (share(point) - share(points[i - 1])) * (agreement.length + 1 - point);
    }, 0);
  }

  it("finds the best of all choices", () => {
    const shares = fc.array(fc.double({ min: 0.01, max: 1, noNaN: true }), { minLength: 3, maxLength: 8 });
    fc.assert(
      fc.property(shares, (agreement) => {
        let best = 0;
        for (let a = 1; a <= agreement.length; a++) {
          for (let b = a + 1; b <= agreement.length; b++) best = Math.max(best, savedBy(agreement, [a, b]));
        }
        const points = choosePoints(agreement, 2);
        expect(checkedPoints(agreement.length + 1, points)).toEqual(points);
        expect(savedBy(agreement, points)).toBeCloseTo(best, 10);
      }),
    );
  });

  it("spaces evenly where no block says anything", () => {
    expect(choosePoints(new Array(31).fill(0), 3)).toEqual(evenly(32, 3));
  });
});

describe("lensAgreement", () => {
  it("is 1 after the last block that changes anything", async () => {
    const spec = smallSpec({ blocks: 4 });
    // The last two blocks have no parts: they pass everything on.
    const idle = {
      ...spec.blocks[0],
      attention: null,
      mlp: null,
      attentionNorms: { pre: null, post: null },
      mlpNorms: { pre: null, post: null },
    };
    const source = randomSource({ ...spec, blocks: [spec.blocks[0], spec.blocks[1], idle, idle] });
    const executor = await executorsOf("tfjs", "resident")(source);
    const sequences = [0, 1, 2].map((i) => Int32Array.from({ length: 20 }, (_, at) => (i * 7 + at * at) % 37));
    try {
      const agreement = await lensAgreement(executor, sequences);
      expect(agreement.length).toBe(3);
      expect(agreement[0]).toBeLessThan(1);
      expect(agreement.slice(1)).toEqual([1, 1]);
    } finally {
      await executor.dispose();
    }
  });
});
