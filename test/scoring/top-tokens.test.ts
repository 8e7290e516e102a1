import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { countShared, topTokens } from "../../src/scoring/top-tokens.ts";

/** By a full sort: larger first, then the lower id. */
function sortedTop(logits: Float32Array, k: number): number[] {
  const ids = [...logits.keys()].sort((a, b) => logits[b] - logits[a] || a - b);
  return ids.slice(0, k).sort((a, b) => a - b);
}

describe("topTokens", () => {
  it("agrees with a full sort, ties included", () => {
    const rows = fc.array(fc.integer({ min: -4, max: 4 }), { minLength: 1, maxLength: 60 });
    const property = fc.property(rows, fc.nat(), (values, pick) => {
      const logits = Float32Array.from(values);
      const k = 1 + (pick % values.length);
      expect([...topTokens(logits, k)]).toEqual(sortedTop(logits, k));
    });
    fc.assert(property);
  });

  it("takes the lower id of equal logits, and -Infinity where nothing else is left", () => {
    expect([...topTokens(Float32Array.of(1, 2, 2, 2), 2)]).toEqual([1, 2]);
    expect([...topTokens(Float32Array.of(Number.NEGATIVE_INFINITY, 5, Number.NEGATIVE_INFINITY), 2)]).toEqual([0, 1]);
  });

  it("refuses NaN where too little is left", () => {
    expect(() => topTokens(Float32Array.of(1, Number.NaN, 2), 3)).toThrow("expected 3 numbers, found 2");
  });
});

describe("countShared", () => {
  it("counts the ids that both lists hold", () => {
    const ids = fc.uniqueArray(fc.nat(40));
    const ascending = (list: number[]) => Int32Array.from(list).sort();
    const property = fc.property(ids, ids, (a, b) => {
      expect(countShared(ascending(a), ascending(b))).toBe(a.filter((id) => b.includes(id)).length);
    });
    fc.assert(property);
  });
});
