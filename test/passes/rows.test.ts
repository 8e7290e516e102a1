import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { groupByRows, groupSequences, rowsOf } from "../../src/passes/rows.ts";

const sequencesOf = (lengths: readonly number[]) => {
  let id = 0;
  return lengths.map((length) => Int32Array.from({ length }, () => id++));
};

describe("groupByRows", () => {
  it("leaves out what has no rows, keeps the order and splits nothing", () => {
    expect(groupByRows([3, 0, 4, 9, 1, 0], (rows) => rows, 7)).toEqual([[3, 4], [9], [1]]);
    expect(groupByRows([0, 0], (rows) => rows, 7)).toEqual([]);
  });

  it("fills a group before it begins the next", () => {
    const lengths = fc.array(fc.nat({ max: 12 }), { maxLength: 20 });
    fc.assert(
      fc.property(lengths, fc.integer({ min: 1, max: 20 }), (rows, most) => {
        const groups = groupByRows(rows, (one) => one, most);
        const sum = (group: readonly number[]) => group.reduce((all, one) => all + one, 0);
        expect(groups.flat()).toEqual(rows.filter((one) => one > 0));
        for (const [i, group] of groups.entries()) {
          expect(group.length === 1 || sum(group) <= most).toBe(true);
          if (i > 0) expect(sum(groups[i - 1]) + group[0]).toBeGreaterThan(most);
        }
      }),
    );
  });
});

describe("groupSequences", () => {
  it("numbers its passes and says whose the rows are, empty sequences left out", () => {
    const groups = groupSequences(sequencesOf([2, 0, 3, 4]), 5);
    expect(groups.map(({ index }) => index)).toEqual([0, 1]);
    expect(groups.map(({ ids }) => [...ids])).toEqual([
      [0, 1, 2, 3, 4],
      [5, 6, 7, 8],
    ]);
    expect(groups[0].spans).toEqual([
      { cache: null, position: 0, count: 2 },
      { cache: null, position: 0, count: 3 },
    ]);
  });
});

describe("rowsOf", () => {
  it("has a span for each sequence with rows, and no other", () => {
    const { ids, spans } = rowsOf(sequencesOf([0, 1, 0, 2]));
    expect([...ids]).toEqual([0, 1, 2]);
    expect(spans.map(({ count }) => count)).toEqual([1, 2]);
  });
});
