import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { segmentFront } from "../../../src/planning/optimal/front.ts";
import { loadHighs } from "../../../src/planning/optimal/highs-solver.ts";
import { bytesOf, solveKnapsack } from "../../../src/planning/optimal/knapsack.ts";
import { solveWithLatency } from "../../../src/planning/optimal/latency.ts";
import type { MilpSolver } from "../../../src/planning/optimal/milp.ts";
import { Random } from "../../../src/tensor/random.ts";
import { allChoices, leastLoss, type TwinSegment } from "./knapsack-twin.ts";

let highs: MilpSolver;
beforeAll(async () => {
  highs = await loadHighs();
});

const option = fc.record({
  bytes: fc.integer({ min: 1, max: 40 }).map((steps) => steps * 4),
  loss: fc.double({ min: 1e-7, max: 1, noNaN: true }),
});
const item = fc.array(option, { minLength: 1, maxLength: 4 });
const segment = fc.record({
  items: fc.array(item, { minLength: 0, maxLength: 3 }),
  fixedBytes: fc.integer({ min: 0, max: 30 }),
  align: fc.constantFrom(1, 16, 64),
});
const segments = fc.array(segment, { minLength: 1, maxLength: 5 });
/** From losses of single matrices in a good plan to those of bad ones. */
const scale = fc.constantFrom(1, 1e-3, 1e-7);

const scaled = (list: readonly TwinSegment[], factor: number): TwinSegment[] =>
  list.map((one) => ({
    ...one,
    items: one.items.map((options) => options.map(({ bytes, loss }) => ({ bytes, loss: loss * factor }))),
  }));

describe("segmentFront", () => {
  it("has the best choice of every size, each beating the one before", () => {
    fc.assert(
      fc.property(segment, (one) => {
        const front = segmentFront(one.items, one);
        const choices = allChoices(one);
        for (const { bytes } of choices) {
          const within = choices.filter((choice) => choice.bytes <= bytes).map(({ loss }) => loss);
          const found = front.findLast((point) => point.bytes <= bytes);
          expect(found?.loss).toBeCloseTo(Math.min(...within), 12);
        }
        front.forEach((point, i) => {
          const picked = one.items.map((options, item) => options[point.picks[item]]);
          const sum = picked.reduce((bytes, chosen) => bytes + chosen.bytes, one.fixedBytes);
          expect(Math.ceil(sum / one.align) * one.align).toBe(point.bytes);
          if (i === 0) return;
          expect(point.bytes).toBeGreaterThan(front[i - 1].bytes);
          expect(point.loss).toBeLessThan(front[i - 1].loss);
        });
      }),
    );
  });
});

describe("solveKnapsack", () => {
  it("finds what a dynamic program over every byte finds", () => {
    let solved = 0;
    const counting: MilpSolver = (milp) => {
      solved++;
      return highs(milp);
    };
    fc.assert(
      fc.property(segments, fc.nat(1000), scale, (list, capacity, factor) => {
        const given = scaled(list, factor);
        const fronts = given.map((one) => segmentFront(one.items, one));
        const picks = solveKnapsack(fronts, capacity, counting);
        const least = leastLoss(given, capacity);
        if (least === null) {
          expect(picks).toBeNull();
          return;
        }
        if (!picks) throw new Error("found nothing");
        expect(bytesOf(fronts, picks)).toBeLessThanOrEqual(capacity);
        const loss = fronts.reduce((sum, front, i) => sum + front[picks[i]].loss, 0);
        expect(Math.abs(loss - least)).toBeLessThanOrEqual(1e-10 * least);
      }),
      { seed: 1, numRuns: 100 },
    );
    expect(solved).toBeGreaterThan(8);
  });

  it("never loses from more bytes, in small steps of the capacity", () => {
    const random = new Random(3);
    const list = Array.from({ length: 8 }, (): TwinSegment => {
      const options = () =>
        Array.from({ length: 6 }, (_, i) => ({ bytes: 64 * (i + 2), loss: random.next() * 4 ** -i }));
      return { items: [options(), options(), options()], fixedBytes: 32, align: 256 };
    });
    const fronts = list.map((one) => segmentFront(one.items, one));
    let last = Number.POSITIVE_INFINITY;
    for (let capacity = 8 * 512; capacity < 8 * 1800; capacity += 512) {
      const picks = solveKnapsack(fronts, capacity, highs);
      const loss = picks ? fronts.reduce((sum, front, i) => sum + front[picks[i]].loss, 0) : Number.POSITIVE_INFINITY;
      expect(loss).toBeLessThanOrEqual(last);
      expect(solveKnapsack(fronts, capacity, highs)).toEqual(picks);
      last = loss;
    }
    expect(last).toBeLessThan(0.1);
  });
});

describe("HiGHS by itself", () => {
  it("solves a program with bounds of its own, and says when there is no solution", () => {
    const columns = [
      { cost: -3, lower: 0, upper: 10, whole: true, entries: [[0, 2]] as [number, number][] },
      { cost: -1, lower: 0, upper: 1.5, whole: false, entries: [[0, 1]] as [number, number][] },
    ];
    const at = (lower: number, upper: number) => highs({ columns, rows: [{ lower, upper }], relativeGap: 0 });
    expect([...(at(Number.NEGATIVE_INFINITY, 5) ?? [])]).toEqual([2, 1]);
    expect(at(100, 200)).toBeNull();
  });
});

describe("solveWithLatency", () => {
  it("keeps both bounds and is within 0.01 % of the best of all choices", () => {
    const random = new Random(9);
    let bound = 0;
    for (let round = 0; round < 12; round++) {
      const parts = Array.from({ length: 3 }, (_, s) => ({
        forms: Array.from({ length: 1 + (s % 2) }, (_, form) => ({
          items: Array.from({ length: 2 - form }, () => {
            const options = Array.from({ length: 4 }, () => ({ bytes: 4 * random.nextInt(60), loss: random.next() }));
            return { options, ms: options.map(() => random.next()) };
          }),
          ...{ fixedBytes: random.nextInt(20), outsideBytes: -30 * form, loss: 0.4 * form },
        })),
        align: s === 2 ? 1 : 32,
      }));
      const [capacity, msPerToken] = [400 + random.nextInt(200), 1.5 + random.next()];
      const best = leastWithin(parts, capacity, msPerToken);
      const found = solveWithLatency(parts, capacity, msPerToken, highs);
      if (best === null) {
        expect(found).toBeNull();
        continue;
      }
      if (!found) throw new Error("found nothing");
      bound++;
      const sums = sumsOf(parts, found);
      expect(sums.bytes).toBeLessThanOrEqual(capacity);
      expect(sums.ms).toBeLessThanOrEqual(msPerToken);
      expect(sums.loss).toBeLessThanOrEqual(best * (1 + 1e-4));
    }
    expect(bound).toBeGreaterThan(6);
  });
});

type Timed = Parameters<typeof solveWithLatency>[0];
type Choices = NonNullable<ReturnType<typeof solveWithLatency>>;

function sumsOf(parts: Timed, choices: Choices) {
  const sums = { bytes: 0, loss: 0, ms: 0 };
  parts.forEach(({ forms, align }, s) => {
    const { form, picks } = choices[s];
    const { items, fixedBytes, outsideBytes, loss } = forms[form];
    let bytes = fixedBytes;
    items.forEach((one, i) => {
      bytes += one.options[picks[i]].bytes;
      sums.loss += one.options[picks[i]].loss;
      sums.ms += one.ms[picks[i]];
    });
    sums.loss += loss;
    sums.bytes += Math.ceil(bytes / align) * align + outsideBytes;
  });
  return sums;
}

/** By trying all. */
function leastWithin(parts: Timed, capacity: number, msPerToken: number): number | null {
  const all = parts.reduce<Choices[]>(
    (sets, { forms }) => {
      const own = forms.flatMap(({ items }, form) =>
        items
          .reduce<number[][]>((picks, { options }) => picks.flatMap((p) => options.map((_, o) => [...p, o])), [[]])
          .map((picks) => ({ form, picks })),
      );
      return sets.flatMap((set) => own.map((choice) => [...set, choice]));
    },
    [[]],
  );
  const losses = all
    .map((choices) => sumsOf(parts, choices))
    .filter(({ bytes, ms }) => bytes <= capacity && ms <= msPerToken)
    .map(({ loss }) => loss);
  return losses.length > 0 ? Math.min(...losses) : null;
}
