import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { nativeMaths } from "../../src/maths/native.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { ComparedRows, RowComparer } from "../../src/maths/row-comparison.ts";
import { ADDON_STATE, engineOf, HAS_ADDON, ISAS, normals } from "../native/engines.ts";

const plain = plainMaths.rowComparer();
const fastest = ISAS[ISAS.length - 1];
const native = (isa = fastest, threads = 1): RowComparer => nativeMaths(engineOf(isa, threads)).rowComparer();

interface Pairs {
  readonly reference: Float32Array;
  readonly logits: Float32Array;
  readonly rows: number;
}

/** Rows of logits around 7, and rows that differ from them by noise and a shift. */
function pairs(rows: number, vocab: number, { spread = 3, noise = 0.1, shift = 0, name = "a" } = {}): Pairs {
  const reference = normals(rows * vocab, name, spread).map((x) => x + 7);
  const off = normals(rows * vocab, `${name} noise`, noise);
  return { reference, logits: reference.map((x, i) => x + shift + off[i]), rows };
}

const compare = (comparer: RowComparer, { reference, logits, rows }: Pairs) =>
  comparer.against(reference, rows)(logits);

/** By the definition, in doubles. */
function exactDivergence(a: Float32Array, b: Float32Array): number {
  const normalise = (row: Float32Array) => {
    const max = row.reduce((x, y) => Math.max(x, y), Number.NEGATIVE_INFINITY);
    const total = row.reduce((sum, x) => sum + Math.exp(x - max), 0);
    return Float64Array.from(row, (x) => x - max - Math.log(total));
  };
  const [p, q] = [normalise(a), normalise(b)];
  return p.reduce((sum, lnP, i) => sum + Math.exp(lnP) * (lnP - q[i]), 0);
}

/** The bound that RowComparer states. */
function expectTwins(found: ComparedRows, expected: ComparedRows): void {
  expect(found.argmaxes).toEqual(expected.argmaxes);
  expect(found.reference.argmaxes).toEqual(expected.reference.argmaxes);
  expect(found.ranks).toEqual(expected.ranks);
  for (const [i, divergence] of expected.divergences.entries()) {
    const size = Math.max(0, divergence);
    // The twin itself is off by what its f32 weights allow, see row-distribution.test.ts.
    expect(Math.abs(found.divergences[i] - divergence)).toBeLessThanOrEqual(
      4e-6 * Math.sqrt(size) + 1e-5 * size + 1e-13,
    );
    expect(Math.abs(found.logSumExps[i] - expected.logSumExps[i])).toBeLessThanOrEqual(1e-6);
    expect(Math.abs(found.reference.logSumExps[i] - expected.reference.logSumExps[i])).toBeLessThanOrEqual(1e-6);
  }
}

const bytes = ({ divergences, logSumExps, reference, argmaxes, ranks }: ComparedRows) =>
  Buffer.concat(
    [divergences, logSumExps, reference.logSumExps, argmaxes, reference.argmaxes, ranks].map((x) =>
      Buffer.from(x.buffer, x.byteOffset, x.byteLength),
    ),
  );

describe.skipIf(!HAS_ADDON)(`rows compared on the engine (${ADDON_STATE})`, () => {
  it("agrees with TypeScript on random rows of any length, near and far", async () => {
    const shape = fc.record({
      rows: fc.integer({ min: 1, max: 4 }),
      vocab: fc.integer({ min: 1, max: 1500 }),
      spread: fc.constantFrom(0, 0.1, 3, 10),
      noise: fc.constantFrom(1e-5, 1e-3, 0.1, 1, 10),
      shift: fc.constantFrom(0, -4.25, 30),
    });
    await fc.assert(
      fc.asyncProperty(shape, async ({ rows, vocab, ...how }) => {
        const given = pairs(rows, vocab, how);
        expectTwins(await compare(native(), given), await compare(plain, given));
        const alone = await native().summarize(given.logits, rows);
        const expected = await plain.summarize(given.logits, rows);
        expect(alone.argmaxes).toEqual(expected.argmaxes);
        for (const [i, x] of expected.logSumExps.entries())
          expect(Math.abs(alone.logSumExps[i] - x)).toBeLessThan(1e-6);
      }),
      { numRuns: 60 },
    );
  });

  it("gives a divergence of 1e-6 nats, and of 1e-9, to three digits", async () => {
    for (const noise of [1.4e-3, 4.5e-5]) {
      const given = pairs(2, 20_000, { noise, shift: 0.5 });
      const { divergences } = await compare(native(), given);
      for (const [i, found] of divergences.entries()) {
        const row = (x: Float32Array) => x.subarray(i * 20_000, (i + 1) * 20_000);
        const expected = exactDivergence(row(given.reference), row(given.logits));
        expect(expected).toBeGreaterThan(1e-10);
        expect(expected).toBeLessThan(3e-6);
        expect(Math.abs(found / expected - 1)).toBeLessThan(5e-4);
      }
    }
  });

  it("keeps its bound where rows are far apart, and gives 0 for equal rows", async () => {
    const rows: readonly (readonly [number[], number[]])[] = [
      [
        [0, 0, 0, 0],
        [1000, 0, 0, 0],
      ],
      [
        [1000, 0, 0, 0],
        [0, 0, 0, 0],
      ],
      [
        [0, 500, 0, -500],
        [0, -500, 0, 500],
      ],
      [
        [0, -40, -80, -200],
        [-200, -80, -40, 0],
      ],
      [
        [5, 5, 5, 5],
        [5, 5, 5, 5],
      ],
      [
        [3, 3, 1, 3],
        [-3, 2, 2, 2],
      ],
    ];
    const reference = Float32Array.from(rows.flatMap(([a]) => a));
    const logits = Float32Array.from(rows.flatMap(([, b]) => b));
    const given = { reference, logits, rows: rows.length };
    const found = await compare(native(), given);
    expectTwins(found, await compare(plain, given));
    expect(found.divergences[4]).toBe(0);
    expect([...found.argmaxes]).toEqual([0, 0, 3, 3, 0, 1]);
    expect([...found.ranks]).toEqual([0, 0, 3, 3, 0, 3]);
  });

  it("places the reference's choice among the candidate's as sorting does, ties by id", async () => {
    const vocab = 300;
    const reference = new Float32Array(vocab * vocab);
    const logits = new Float32Array(vocab * vocab);
    const values = normals(vocab, "places", 3).map(Math.round);
    const sorted = Array.from(values.keys()).sort((a, b) => values[b] - values[a] || a - b);
    for (let row = 0; row < vocab; row++) {
      reference[row * vocab + row] = 1;
      logits.set(values, row * vocab);
    }
    const { ranks } = await compare(native(), { reference, logits, rows: vocab });
    expect([...ranks]).toEqual(Array.from({ length: vocab }, (_, id) => sorted.indexOf(id)));
  });

  it("shows NaN and infinity where TypeScript does", async () => {
    const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const vocab of [3, 100]) {
      for (const value of bad) {
        for (const at of [0, vocab - 1]) {
          const broken = normals(vocab, "broken");
          broken[at] = value;
          const row = normals(vocab, "whole");
          const empty = new Float32Array(vocab).fill(value);
          const cases: readonly (readonly [Float32Array, Float32Array])[] = [
            [broken, row],
            [row, broken],
            [broken, broken],
            [row, empty],
          ];
          for (const [reference, logits] of cases) {
            const [found, expected] = await Promise.all(
              [native(), plain].map((comparer) => compare(comparer, { reference, logits, rows: 1 })),
            );
            expect(Number.isFinite(found.divergences[0])).toBe(false);
            expect(Number.isFinite(expected.divergences[0])).toBe(false);
            expect(Number.isFinite(found.logSumExps[0])).toBe(Number.isFinite(expected.logSumExps[0]));
            const sums = [found, expected].map(({ reference: { logSumExps } }) => Number.isFinite(logSumExps[0]));
            expect(sums[0]).toBe(sums[1]);
          }
        }
      }
    }
  });

  it("gives the same bits on every table and any number of threads", async () => {
    const given = pairs(7, 2100, { noise: 1 });
    const expected = bytes(await compare(native(ISAS[0]), given));
    for (const isa of ISAS) expect(bytes(await compare(native(isa), given)).equals(expected)).toBe(true);
    for (const threads of [2, 3])
      expect(bytes(await compare(native(fastest, threads), given)).equals(expected)).toBe(true);
  });

  it("refuses arrays that do not fit", async () => {
    const { offline } = engineOf(fastest);
    const logits = new Float32Array(6);
    const outputs = { logSumExps: new Float64Array(2), argmaxes: new Int32Array(2) };
    const call = (options: object) => async () =>
      offline.compareRows({ rows: 2, vocab: 3, logits, ...outputs, ...options });
    await call({})();
    await expect(call({ vocab: 4 })()).rejects.toThrow("logits");
    await expect(call({ vocab: 0 })()).rejects.toThrow("vocab");
    await expect(call({ argmaxes: new Int32Array(1) })()).rejects.toThrow("argmaxes");
    await expect(call({ argmaxes: new Int32Array(logits.buffer, 0, 2) })()).rejects.toThrow("overlaps");
    await expect(call({ reference: new Float32Array(6) })()).rejects.toThrow("referenceLogSumExps");
    await expect(call({ reference: new Float32Array(5) })()).rejects.toThrow("reference");
  });
});
