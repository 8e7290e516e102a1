import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { SPLITS, splitSequences } from "../../../src/training/exits/splits.ts";

/** Sequences that say which they are. */
const texts = (lengths: readonly number[]) => lengths.map((length, i) => new Int32Array(length).fill(i));

describe("splitSequences", () => {
  it("puts every sequence into exactly one split and leaves none empty", () => {
    const lengths = fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 4, maxLength: 60 });
    fc.assert(
      fc.property(lengths, fc.nat(), (sizes, seed) => {
        const split = splitSequences(texts(sizes), seed);
        expect(SPLITS.every((name) => split[name].length > 0)).toBe(true);
        const all = SPLITS.flatMap((name) => split[name].map((sequence) => sequence[0]));
        expect(all.sort((a, b) => a - b)).toEqual(sizes.map((_, i) => i));
      }),
    );
  });

  it("gives each its share of the tokens, the same for the same seed", () => {
    const sequences = texts(new Array(500).fill(100));
    const split = splitSequences(sequences, 4);
    expect(SPLITS.map((name) => split[name].length)).toEqual([360, 20, 80, 40]);
    expect(splitSequences(sequences, 4)).toEqual(split);
    expect(splitSequences(sequences, 5)).not.toEqual(split);
  });

  it("refuses too little text", () => {
    expect(() => splitSequences(texts([3, 3, 3, 0]), 1)).toThrow(UserError);
  });
});
