import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { attention, erf, geluErf, geluTanh, layerNorm, matMul, rmsNorm, rotateHalves, silu, softmax } from "./ops.ts";

const f32 = (...values: number[]) => Float32Array.from(values);
const row = (length: number) =>
  fc.array(fc.float({ min: -8, max: 8, noNaN: true }), { minLength: length, maxLength: length });

describe("reference maths", () => {
  it("multiplies with weights in [outputs, inputs]", () => {
    expect([...matMul(f32(1, 2, 3, 4), f32(1, 0, 0, 1, 1, 1), 2, 2, f32(0, 0, 10))]).toEqual([1, 2, 13, 3, 4, 17]);
  });

  it("knows the error function", () => {
    // Abramowitz & Stegun, table 7.1.
    const known: [number, number][] = [
      [0, 0],
      [0.5, 0.5204998778],
      [1, 0.8427007929],
      [2, 0.995322265],
      [3.5, 0.9999992569],
      [7, 1],
    ];
    for (const [x, value] of known) {
      expect(Math.abs(erf(x) - value)).toBeLessThan(1e-10);
      expect(erf(-x)).toBe(-erf(x));
    }
  });

  it("has activations with known values", () => {
    expect(silu(1)).toBeCloseTo(0.731058578630005, 12);
    expect(geluErf(1)).toBeCloseTo(0.841344746068543, 12);
    expect(geluTanh(1)).toBeCloseTo(0.841191990608276, 12);
  });

  it("normalises rows", () => {
    expect([...rmsNorm(f32(3, 4, 6, 8), f32(1, 2), 0)].map((x) => x.toFixed(4))).toEqual([
      "0.8485",
      "2.2627",
      "0.8485",
      "2.2627",
    ]);
    expect([...layerNorm(f32(1, 3, -5, 5), f32(2, 2), f32(1, 1), 0)]).toEqual([-1, 3, -1, 3]);
  });

  it("gives softmax rows that sum to one and do not change under a shift", () => {
    fc.assert(
      fc.property(row(7), fc.integer({ min: -50, max: 50 }), (values, shift) => {
        const weights = softmax(Float32Array.from(values));
        const sum = weights.reduce((total, weight) => total + weight, 0);
        expect(Math.abs(sum - 1)).toBeLessThan(1e-6);
        const shifted = softmax(Float32Array.from(values, (value) => value + shift));
        shifted.forEach((weight, i) => {
          expect(Math.abs(weight - weights[i])).toBeLessThan(1e-4);
        });
      }),
    );
  });

  it("rotates pairs half-split and keeps their length", () => {
    const quarter = rotateHalves(f32(1, 2, 3, 4, 9), { rows: 1, heads: 1, headDim: 5 }, f32(0, 1), f32(1, 0));
    expect([...quarter]).toEqual([-3, 2, 1, 4, 9]);
    fc.assert(
      fc.property(row(4), fc.double({ min: 0, max: 6, noNaN: true }), (values, angle) => {
        const x = Float32Array.from(values);
        const y = rotateHalves(x, { rows: 1, heads: 1, headDim: 4 }, f32(Math.cos(angle), 1), f32(Math.sin(angle), 0));
        expect(Math.abs(Math.hypot(...x) - Math.hypot(...y))).toBeLessThan(1e-4);
      }),
    );
  });

  it("attends causally, within the window, and by groups", () => {
    const spec = { heads: 2, kvHeads: 1, headDim: 1, scale: 1, window: null };
    // Equal keys: every visible value weighs the same.
    const values = f32(3, 5, 10);
    expect([...attention(f32(1, 1, 1, 1, 1, 1), f32(0, 0, 0), values, spec)]).toEqual([3, 3, 4, 4, 6, 6]);
    expect([...attention(f32(1, 1), f32(0, 0, 0), values, { ...spec, window: 2 })]).toEqual([7.5, 7.5]);
    const perGroup = attention(f32(1, 1), f32(0, 0), f32(2, 9), { ...spec, kvHeads: 2 });
    expect([...perGroup]).toEqual([2, 9]);
  });
});
