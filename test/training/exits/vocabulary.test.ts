import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { frequentIds, gatherHeadRows } from "../../../src/training/exits/vocabulary.ts";
import { packedSource, randomSource, smallSpec } from "../../runtime/random-model.ts";

describe("frequentIds", () => {
  it("takes the most frequent, of equals the lower id, and those that must be there", () => {
    const sequences = [Int32Array.of(7, 7, 7, 2, 2), Int32Array.of(5, 4, 9, 9)];
    const ids = (count: number, always: number[] = []) => frequentIds(sequences, { count, vocabSize: 12, always });
    expect(ids(3)).toEqual(Int32Array.of(2, 7, 9));
    expect(ids(4)).toEqual(Int32Array.of(2, 4, 7, 9));
    expect(ids(3, [11])).toEqual(Int32Array.of(2, 7, 11));
    // Ids that never occur come last, the lowest first.
    expect(ids(7)).toEqual(Int32Array.of(0, 1, 2, 4, 5, 7, 9));
    expect(ids(12)).toBeNull();
  });

  it("gives so many different rising ids", () => {
    const sequences = fc.array(fc.array(fc.integer({ min: 0, max: 39 })), { maxLength: 4 });
    fc.assert(
      fc.property(sequences, fc.integer({ min: 2, max: 39 }), (texts, count) => {
        const found = frequentIds(
          texts.map((ids) => Int32Array.from(ids)),
          { count, vocabSize: 40, always: [39] },
        );
        expect(found).toEqual(Int32Array.from(new Set(found)).sort());
        expect(found?.length).toBe(count);
        expect(found).toContain(39);
      }),
    );
  });
});

describe("gatherHeadRows", () => {
  it("gives the packed rows as they are, and the mean of the others for the tail", async () => {
    const source = await packedSource(randomSource(smallSpec({ vocabSize: 40, headBias: true })), "q8s-g32");
    const ids = Int32Array.of(0, 3, 17, 39);
    const all = await source.readRows("head", 0, 40);
    const bias = await source.readVector("head.bias");
    const { matrix, bias: gathered, tail } = await gatherHeadRows(source, ids);
    for (const [i, id] of ids.entries()) {
      expect(matrix.subarray(i * 16, (i + 1) * 16)).toEqual(all.subarray(id * 16, (id + 1) * 16));
    }
    expect(gathered).toEqual(Float32Array.from(ids, (id) => bias[id]));
    const others = Array.from({ length: 40 }, (_, id) => id).filter((id) => !ids.includes(id));
    const mean = (of: (id: number) => number) => others.reduce((sum, id) => sum + of(id), 0) / others.length;
    for (let col = 0; col < 16; col++)
      expect(tail?.weight[col]).toBeCloseTo(
        mean((id) => all[id * 16 + col]),
        6,
      );
    expect(tail?.bias).toBeCloseTo(Math.log(36) + mean((id) => bias[id]), 5);
  });

  it("has no tail over the whole vocabulary", async () => {
    const source = randomSource(smallSpec({ tied: true }));
    const { matrix, bias, tail } = await gatherHeadRows(source, null);
    expect(matrix).toEqual(await source.readRows("embedding", 0, 37));
    expect([bias, tail]).toEqual([null, null]);
  });
});
