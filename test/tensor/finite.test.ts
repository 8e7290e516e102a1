import { describe, expect, it } from "vitest";
import { allFinite } from "../../src/tensor/finite.ts";

describe("allFinite", () => {
  it("sees one number that is not, wherever it is", () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY])
      for (let at = 0; at < 9; at++)
        expect(allFinite(new Float32Array(9).fill(-3e38, 0, at).fill(bad, at, at + 1))).toBe(false);
  });

  it("lets the largest, the smallest and none pass", () => {
    expect(allFinite(Float32Array.of(3.4028234663852886e38, -3.4028234663852886e38, 2 ** -149, -0))).toBe(true);
    expect(allFinite(new Float32Array(0))).toBe(true);
  });
});
