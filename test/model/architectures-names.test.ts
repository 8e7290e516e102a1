import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { interleavedQkv, type PartName, stackedQkv } from "../../src/model/architectures/tensor-names.ts";

/** Rows of the fused tensor in the order in which a part reads them. */
const rowsOf = ({ fused }: PartName): number[] =>
  (fused?.ranges ?? []).flatMap(([from, to]) => Array.from({ length: to - from }, (_, i) => from + i));
const size = fc.integer({ min: 1, max: 12 });
const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);

describe("fused q, k and v", () => {
  it("interleaved: row r of head h's part p is row (3h + p)·headDim + r", () => {
    fc.assert(
      fc.property(size, size, (heads, headDim) => {
        const parts = interleavedQkv("qkv", heads, headDim);
        const all = [parts["attn.q"], parts["attn.k"], parts["attn.v"]];
        all.forEach((part, p) => {
          const expected = upTo(heads * headDim).map(
            (i) => (3 * Math.floor(i / headDim) + p) * headDim + (i % headDim),
          );
          expect(rowsOf(part)).toEqual(expected);
        });
        expect(all.flatMap(rowsOf).sort((a, b) => a - b)).toEqual(upTo(3 * heads * headDim));
        expect(all.map((part) => part.fused?.rows)).toEqual(new Array(3).fill(3 * heads * headDim));
      }),
    );
  });

  it("stacked: all queries, then all keys, then all values", () => {
    fc.assert(
      fc.property(size, size, (queryRows, kvRows) => {
        const parts = stackedQkv("qkv", queryRows, kvRows);
        const all = [parts["attn.q"], parts["attn.k"], parts["attn.v"]];
        expect(all.flatMap(rowsOf)).toEqual(upTo(queryRows + 2 * kvRows));
        expect(all.map((part) => rowsOf(part).length)).toEqual([queryRows, kvRows, kvRows]);
      }),
    );
  });
});
