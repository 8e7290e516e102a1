import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { expectBits, expectWithin, normals } from "../engines.ts";
import { type AttendCase, attendBounded, type KvType } from "../references/attention.ts";
import { HAS_KERNELS, KERNELS_STATE, onEveryTable } from "./tables.ts";

const KV_TYPES: readonly KvType[] = ["f32", "f16", "q8"];
const HEAD_DIMS = [4, 8, 20, 64, 80, 96, 128];

/** Random queries over random keys; `visible` gives what each query sees. */
function caseOf(
  kvType: KvType,
  headDim: number,
  positions: number,
  visible: readonly (readonly [from: number, to: number])[],
): AttendCase {
  return {
    kvType,
    headDim,
    queries: normals(visible.length * headDim, `q${headDim}`, 2 / Math.sqrt(headDim)),
    keys: normals(positions * headDim, `k${positions}`),
    values: normals(positions * headDim, `v${positions}`),
    visibleFrom: Int32Array.from(visible, ([from]) => from),
    visibleTo: Int32Array.from(visible, ([, to]) => to),
  };
}

const attend = (run: AttendCase) => onEveryTable((kernels) => kernels.attend(run));

describe.skipIf(!HAS_KERNELS)(`attention (${KERNELS_STATE})`, () => {
  it.each(KV_TYPES)("is within its bound for any head size and number of positions: %s", (kvType) => {
    let used = 0;
    for (const headDim of HEAD_DIMS) {
      for (const positions of [1, 3, 63, 64, 65, 200]) {
        const run = caseOf(kvType, headDim, positions, [[0, positions]]);
        used = Math.max(used, expectWithin(attend(run), attendBounded(run), `${headDim} x ${positions}`));
      }
    }
    // The bound adds up worst cases; what happens is no thousandth of it.
    expect(used).toBeGreaterThan(1e-3);
  });

  it.each(KV_TYPES)("sees what it should, and no more: %s", (kvType) => {
    const [headDim, positions] = [16, 300];
    const windows: readonly (readonly [number, number])[] = [
      [0, 1],
      [0, 64],
      [63, 65],
      [64, 128],
      [100, 101],
      [130, 300],
      [299, 300],
      [0, 300],
    ];
    const run = caseOf(kvType, headDim, positions, windows);
    const found = attend(run);
    expectWithin(found, attendBounded(run), "windows");
    // Seeing one position more or less is outside the bound.
    for (const change of [-1, 1]) {
      const wrong = { ...run, visibleFrom: run.visibleFrom.map((from) => Math.max(0, from + change)) };
      expect(() => expectWithin(found.subarray(-2 * headDim), lastTwo(wrong, headDim), "wrong")).toThrow(/within/);
    }
  });

  it.each(KV_TYPES)("numbers at unseen positions do not matter, not even NaN: %s", (kvType) => {
    const [headDim, positions] = [8, 150];
    const run = caseOf(kvType, headDim, positions, [[70, 100]]);
    const spoilt = { ...run, keys: run.keys.slice(), values: run.values.slice() };
    for (const [from, to] of [
      [0, 70],
      [100, positions],
    ]) {
      // q8 has no NaN: the largest numbers do for it.
      spoilt.keys.fill(kvType === "q8" ? 3e38 : Number.NaN, from * headDim, to * headDim);
      spoilt.values.fill(kvType === "q8" ? 3e38 : Number.POSITIVE_INFINITY, from * headDim, to * headDim);
    }
    expectBits(attend(spoilt), attend(run), "spoilt");
  });

  it.each(KV_TYPES)("a query's numbers do not depend on the queries beside it: %s", (kvType) => {
    const [headDim, positions, count] = [64, 190, 37];
    const run = caseOf(
      kvType,
      headDim,
      positions,
      Array.from({ length: count }, (_, i) => [Math.max(0, i - 3), positions - count + i + 1]),
    );
    const together = attend(run);
    for (let i = 0; i < count; i += 3) {
      const rows = (numbers: Float32Array) => numbers.slice(i * headDim, (i + 1) * headDim);
      const visible = { visibleFrom: run.visibleFrom.slice(i, i + 1), visibleTo: run.visibleTo.slice(i, i + 1) };
      expectBits(attend({ ...run, ...visible, queries: rows(run.queries) }), rows(together), `query ${i}`);
    }
  });

  it("large scores neither overflow nor lose the largest", () => {
    const run = caseOf("f32", 16, 130, [[0, 130]]);
    const steep = { ...run, queries: run.queries.map((q) => q * 1e4) };
    const found = attend(steep);
    expect(found.every(Number.isFinite)).toBe(true);
    expectWithin(found, attendBounded(steep), "steep");
  });

  it("any case", () => {
    const any = fc.record({
      kvType: fc.constantFrom(...KV_TYPES),
      headDim: fc.integer({ min: 1, max: 32 }).map((pairs) => 2 * pairs),
      positions: fc.integer({ min: 1, max: 200 }),
      ends: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.double({ min: 0, max: 1, noNaN: true })), {
        minLength: 1,
        maxLength: 9,
      }),
    });
    fc.assert(
      fc.property(any, ({ kvType, headDim, positions, ends }) => {
        const visible = ends.map(([a, b]): [number, number] => {
          const to = 1 + Math.floor(a * (positions - 1));
          return [Math.floor(b * (to - 1)), to];
        });
        const run = caseOf(kvType, headDim, positions, visible);
        expectWithin(attend(run), attendBounded(run), `${kvType} ${headDim} x ${positions}`);
      }),
      { numRuns: 100 },
    );
  });
});

function lastTwo(run: AttendCase, headDim: number) {
  const { values, bounds } = attendBounded(run);
  return { values: values.slice(-2 * headDim), bounds: bounds.slice(-2 * headDim) };
}
