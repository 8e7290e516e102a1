import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { levelTable } from "../../src/codecs/level-tables.ts";
import { Random } from "../../src/tensor/random.ts";

const GROUP = 32;

/** Least squared error of a group over scales of either sign. */
function groupError(x: Float32Array, levels: Int8Array): number {
  const extreme = x.reduce((most, value) => (Math.abs(value) > Math.abs(most) ? value : most), 0);
  const outermost = [levels[0], levels[levels.length - 1]];
  let best = Number.POSITIVE_INFINITY;
  for (let step = 0; step < 24; step++) {
    for (const level of outermost)
      best = Math.min(best, errorUnder(x, levels, extreme / (level * (0.7 + step * 0.03))));
  }
  return best;
}

function errorUnder(x: Float32Array, levels: Int8Array, scale: number): number {
  let sum = 0;
  for (const value of x) {
    let least = Number.POSITIVE_INFINITY;
    for (const level of levels) least = Math.min(least, Math.abs(value - scale * level));
    sum += least * least;
  }
  return sum;
}

describe("the tables of levels", () => {
  it.each([2, 3, 4, 5] as const)("leave a tenth less error in normal groups than even steps: %i bits", (bits) => {
    const random = new Random(5).fork(`${bits}`);
    const even = CODECS[`q${bits}s-g32`].levels;
    if (!even) throw new Error("a symmetric codec has levels");
    let [table, symmetric] = [0, 0];
    for (let group = 0; group < 60; group++) {
      const x = Float32Array.from({ length: GROUP }, () => random.nextNormal());
      table += groupError(x, levelTable(bits));
      symmetric += groupError(x, even);
    }
    expect(table / symmetric).toBeLessThan(0.9);
  });

  it("are refused where there is none", () => {
    expect(() => levelTable(6)).toThrow(TypeError);
    expect(levelTable(4)).not.toBe(levelTable(4));
  });
});
