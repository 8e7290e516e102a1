import { describe, expect, it } from "vitest";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { embedRows } from "../../src/runtime/embed-rows.ts";
import { randomSource, smallSpec } from "./random-model.ts";

/** A source of a large embedding whose row i is [i, -i], and the reads of it. */
function counting() {
  const reads: [number, number][] = [];
  const source: WeightSource = {
    ...randomSource(smallSpec({ hiddenSize: 2, vocabSize: 5 })),
    async readRows(_id, from, to) {
      reads.push([from, to]);
      return Float32Array.from({ length: 2 * (to - from) }, (_, i) => (i % 2 ? -1 : 1) * (from + Math.floor(i / 2)));
    },
  };
  return { source, reads };
}

describe("rows of the embedding", () => {
  it("come in the order of the ids, read once each, neighbours together", async () => {
    const { source, reads } = counting();
    const out = new Float32Array(14);
    await embedRows(source, Int32Array.of(7, 3000, 5, 7, 0, 16, 15), out);
    expect([...out]).toEqual([7, -7, 3000, -3000, 5, -5, 7, -7, 0, -0, 16, -16, 15, -15]);
    expect(reads).toEqual([
      [0, 17],
      [3000, 3001],
    ]);
  });

  it("are read in runs of bounded length", async () => {
    const { source, reads } = counting();
    await embedRows(
      source,
      Int32Array.from({ length: 3000 }, (_, i) => i),
      new Float32Array(6000),
    );
    expect(reads).toEqual([
      [0, 1024],
      [1024, 2048],
      [2048, 3000],
    ]);
  });
});
