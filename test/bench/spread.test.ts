import fc from "fast-check";
import { expect, test } from "vitest";
import { describeMachine, Machine, peakRssBytes } from "../../src/bench/machine.ts";
import { spreadOf } from "../../src/bench/spread.ts";

test("median, quartiles and ends of known values", () => {
  expect(spreadOf([5, 1, 3, 2, 4])).toEqual({ median: 3, min: 1, max: 5, quartileDeviation: 1, repeats: 5 });
  expect(spreadOf([1, 2]).median).toBe(1.5);
  expect(spreadOf([7])).toEqual({ median: 7, min: 7, max: 7, quartileDeviation: 0, repeats: 1 });
  expect(() => spreadOf([])).toThrow("no values");
});

test("the median lies between the ends, whatever the order", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1 }), (values) => {
      const { median, min, max, quartileDeviation } = spreadOf(values);
      expect(min).toBe(Math.min(...values));
      expect(max).toBe(Math.max(...values));
      expect(median).toBeGreaterThanOrEqual(min);
      expect(median).toBeLessThanOrEqual(max);
      expect(quartileDeviation).toBeLessThanOrEqual((max - min) / 2);
      expect(spreadOf([...values].reverse())).toEqual(spreadOf(values));
    }),
  );
});

test("the machine is described, and the peak of the resident set is that of a Node process", () => {
  const machine = Machine.parse(describeMachine());
  expect(machine.node).toBe(process.version);
  const rss = process.memoryUsage().rss;
  expect(peakRssBytes()).toBeGreaterThan(0.5 * rss);
  expect(peakRssBytes()).toBeLessThan(machine.memoryBytes);
});
