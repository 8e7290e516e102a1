import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { gatherRows } from "../../src/model/gather-rows.ts";
import { type DenseMatrix, denseMatrix, type PackedMatrix } from "../../src/model/weight-source.ts";
import { sampleNumbers } from "../codecs/sample-numbers.ts";

const IDS = Int32Array.of(18, 0, 18, 7);
const codec = CODECS["q5a-g32"];
const packed: PackedMatrix = {
  ...{ kind: "packed", codec: "q5a-g32", rows: 19, cols: 35 },
  bytes: codec.pack(sampleNumbers(codec, 19, 35)),
};

describe("rows of a matrix", () => {
  it("are gathered from a packed one in its own codec, from a dense one as f32", () => {
    const dense: DenseMatrix = denseMatrix(packed);
    const expected = Float32Array.from([...IDS].flatMap((id) => [...dense.data.subarray(id * 35, (id + 1) * 35)]));
    for (const matrix of [packed, dense]) {
      const found = gatherRows(matrix, IDS);
      expect([found.kind, found.rows, found.cols]).toEqual([matrix.kind, 4, 35]);
      expect(denseMatrix(found).data).toEqual(expected);
    }
    expect(gatherRows(packed, IDS)).toMatchObject({ codec: "q5a-g32" });
  });

  it("are refused where they do not exist", () => {
    for (const matrix of [packed, denseMatrix(packed)]) {
      expect(() => gatherRows(matrix, Int32Array.of(19))).toThrow("ids[0]: expected a row below 19, found 19");
      expect(() => gatherRows(matrix, new Int32Array())).toThrow(RangeError);
    }
  });
});
