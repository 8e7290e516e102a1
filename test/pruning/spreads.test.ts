import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SPREAD_IDS, SPREADS, type SpreadId, spreadRatios } from "../../src/pruning/spreads.ts";

const error = fc.double({ min: 1e-9, max: 10, noNaN: true });
const errors = fc.array(error, { minLength: 1, maxLength: 4 });
const block = fc.record({
  kept: fc.array(fc.nat()),
  relative: errors,
  mse: errors,
  kl: errors,
});
const blocks = fc.array(block, { minLength: 1, maxLength: 40 });

describe.each([...SPREAD_IDS])("spread %s", (spread: SpreadId) => {
  it("averages to the target and stays in range, whatever was measured", () => {
    fc.assert(
      fc.property(
        blocks,
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (measured, most, share) => {
          const target = most * share;
          const ratios = spreadRatios(spread, { target, most }, measured);
          expect(ratios).toHaveLength(measured.length);
          expect(ratios.reduce((sum, ratio) => sum + ratio, 0) / ratios.length).toBeCloseTo(target, 9);
          for (const ratio of ratios) {
            expect(ratio).toBeGreaterThanOrEqual(0);
            expect(ratio).toBeLessThanOrEqual(most + 1e-12);
          }
        },
      ),
    );
  });

  it("takes least of the block that suffers most", () => {
    const of = (value: number) => ({ kept: [], relative: [value], mse: [value], kl: [value] });
    const [first, second, third] = spreadRatios(spread, { target: 0.3, most: 1 }, [of(1), of(4), of(2)]);
    if (SPREADS[spread] === null) expect([first, second, third]).toEqual([0.3, 0.3, 0.3]);
    else expect(second).toBeLessThan(Math.min(first, third));
  });
});
