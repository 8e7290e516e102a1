import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  acceptedPerToken,
  compareDrafts,
  type DraftCounts,
  WASTE_RATES,
  wasteOf,
} from "../../../src/bench/drafters/compare.ts";

/** 100 tokens, so many drafts taken, and so many wasted. */
const counts = (accepted: number, wasted: number): DraftCounts => ({
  tokens: 100,
  accepted,
  drafted: accepted + wasted,
});

describe("compareDrafts", () => {
  test("takes the fixed drafter with most drafts taken among those that waste no more", () => {
    const fixed = [counts(10, 2), counts(30, 10), counts(50, 50)];
    // A quarter of the drafts is wasted: the second one's rate exactly.
    expect(compareDrafts(counts(60, 20), fixed)).toEqual({
      ...{ waste: 0.25, best: 1, ratio: 2 },
      // The second leaves no room to mix in the third; the first does, but little.
      ...{ mixedAccepted: expect.closeTo(0.3, 9), mixedRatio: expect.closeTo(2, 9) },
    });
    expect(compareDrafts(counts(60, 10), fixed, "ofTokens")).toMatchObject({ waste: 0.1, best: 1, ratio: 2 });
  });

  test("interpolates between two points so that together they waste exactly as much", () => {
    // By tokens: 0 for nothing, 0.4 for 0.4 wasted; a tenth of waste is a quarter of the way.
    expect(compareDrafts(counts(30, 10), [counts(40, 40)], "ofTokens")).toMatchObject({
      ...{ best: null, ratio: null, mixedAccepted: expect.closeTo(0.1, 9), mixedRatio: expect.closeTo(3, 9) },
    });
    // By drafts: x of (20, 0) and 1 - x of (40, 40) waste a quarter where 40 (1 - x) = (20 x + 80 (1 - x)) / 4, so x =
    // 0.8.
    const mixed = compareDrafts(counts(48, 16), [counts(20, 0), counts(40, 40)]);
    expect(mixed).toMatchObject({ best: 0, ratio: expect.closeTo(2.4, 9) });
    expect(mixed.mixedAccepted).toBeCloseTo(0.24, 9);
    expect(mixed.mixedRatio).toBeCloseTo(2, 9);
  });

  test("says nothing of a drafter without drafts, and no ratio where each fixed one wastes more", () => {
    const nothing = { waste: null, best: null, ratio: null, mixedAccepted: 0, mixedRatio: null };
    expect(compareDrafts(counts(0, 0), [counts(10, 1)])).toEqual(nothing);
    const { best, ratio, mixedRatio } = compareDrafts(counts(50, 1), [counts(10, 5), counts(20, 20)]);
    expect({ best, ratio, mixedRatio }).toEqual({ best: null, ratio: null, mixedRatio: null });
  });

  const drawn = fc.tuple(fc.nat(60), fc.nat(60)).map(([accepted, wasted]) => counts(accepted, wasted));

  test("a mixture is at least the best single point, and no point of the sweep is better at its own waste", () => {
    fc.assert(
      fc.property(
        drawn,
        fc.array(drawn, { minLength: 1, maxLength: 6 }),
        fc.constantFrom(...WASTE_RATES),
        (own, fixed, rate) => {
          const { best, mixedAccepted, waste } = compareDrafts(own, fixed, rate);
          if (waste === null) return;
          if (best !== null) {
            expect(wasteOf(fixed[best], rate) ?? 0).toBeLessThanOrEqual(waste + 1e-9);
            expect(mixedAccepted).toBeGreaterThanOrEqual(acceptedPerToken(fixed[best]) - 1e-12);
          }
          expect(mixedAccepted).toBeLessThanOrEqual(Math.max(...fixed.map(acceptedPerToken)) + 1e-12);
          // More waste never allows less.
          const looser = compareDrafts({ ...own, drafted: own.drafted + 10 }, fixed, rate);
          expect(looser.mixedAccepted).toBeGreaterThanOrEqual(mixedAccepted - 1e-9);
        },
      ),
    );
  });
});
