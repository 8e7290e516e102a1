import { expect, it } from "vitest";
import { TimeLimitError, withinTime } from "../../src/model/time-limit.ts";

const endless = () => /(a|a)*c/.test("a".repeat(60));

it("gives what the work gives, and throws what it throws", () => {
  expect(withinTime(1000, () => undefined)).toBe(undefined);
  expect(withinTime(1000, () => withinTime(500, () => 3) + 1)).toBe(4);
  expect(() => withinTime(1000, () => JSON.parse("{"))).toThrow(SyntaxError);
});

it("stops a regular expression and a loop that have no end, and works afterwards", () => {
  for (const work of [
    endless,
    () => {
      for (;;);
    },
  ]) {
    const began = performance.now();
    expect(() => withinTime(50, work)).toThrow(new TimeLimitError(50));
    expect(performance.now() - began).toBeLessThan(2000);
    expect(withinTime(1000, () => 1)).toBe(1);
  }
});

it("stops the outer work where the outer time is over", () => {
  expect(() => withinTime(50, () => withinTime(60_000, endless))).toThrow(TimeLimitError);
});
