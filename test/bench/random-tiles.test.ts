import { expect, it } from "vitest";
import { RandomTiles } from "../../src/bench/random-tiles.ts";
import { CODECS } from "../../src/codecs/index.ts";

it.each(["f16", "q4s-g32", "q4a-g32", "q4t-g32", "q4s-g64-s8", "q4a-g32-s8", "q4t-g32-s8"] as const)(
  "random matrices of %s have numbers of about the variance that they promise, and are the same for the same seed",
  (id) => {
    const [rows, cols] = [32, 160];
    const codec = CODECS[id];
    const bytes = new RandomTiles(3).matrix("w", codec, { rows, cols });
    const values = codec.unpackRows({ rows, cols, bytes }, 0, rows);
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    // Scales vary around their mean, and a table's levels are denser in the middle.
    expect(variance * cols).toBeGreaterThan(0.5);
    expect(variance * cols).toBeLessThan(1.6);
    expect(new RandomTiles(3).matrix("w", codec, { rows, cols })).toEqual(bytes);
  },
);
