import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { gatherPackedRows } from "../../src/codecs/gather-rows.ts";
import { CODEC_IDS, CODECS } from "../../src/codecs/index.ts";
import { sampleNumbers } from "./sample-numbers.ts";

/** A shape, and ids of some of its rows: any order, any number of times. */
const CASES = fc
  .record({ rows: fc.integer({ min: 1, max: 40 }), cols: fc.integer({ min: 1, max: 150 }) })
  .chain((shape) =>
    fc.record({
      shape: fc.constant(shape),
      ids: fc.array(fc.integer({ min: 0, max: shape.rows - 1 }), { minLength: 1, maxLength: 40 }),
      offset: fc.integer({ min: 0, max: 5 }),
    }),
  );

/** The same bytes at an offset of another buffer: as a view of a file may lie. */
function shifted(bytes: Uint8Array, offset: number): Uint8Array {
  const whole = new Uint8Array(bytes.length + offset);
  whole.set(bytes, offset);
  return whole.subarray(offset);
}

describe.each(CODEC_IDS)("rows gathered from a matrix packed as %s", (id) => {
  const codec = CODECS[id];

  it("are the matrix' own, and packed as if they were a matrix of their own", () => {
    fc.assert(
      fc.property(CASES, ({ shape: { rows, cols }, ids, offset }) => {
        const bytes = shifted(codec.pack(sampleNumbers(codec, rows, cols)), offset);
        const gathered = gatherPackedRows(codec, { rows, cols, bytes }, Int32Array.from(ids));
        expect(gathered.length).toBe(codec.packedBytes(ids.length, cols));
        const all = codec.unpackRows({ rows, cols, bytes }, 0, rows);
        const expected = Float32Array.from(
          { length: ids.length * cols },
          (_, i) => all[ids[Math.floor(i / cols)] * cols + (i % cols)],
        );
        const found = codec.unpackRows({ rows: ids.length, cols, bytes: gathered }, 0, ids.length);
        expect(Buffer.compare(Buffer.from(found.buffer), Buffer.from(expected.buffer))).toBe(0);
        // Every byte, the padding's too: all rows in order are the matrix itself.
        const everyRow = Int32Array.from({ length: rows }, (_, row) => row);
        expect(Buffer.compare(gatherPackedRows(codec, { rows, cols, bytes }, everyRow), bytes)).toBe(0);
      }),
      { numRuns: 6 },
    );
  });
});

describe("gathering rows", () => {
  const codec = CODECS["q4s-g32"];
  const packed = { rows: 17, cols: 40, bytes: codec.pack(sampleNumbers(codec, 17, 40)) };

  it("leaves rows beyond the last one zero", () => {
    const one = gatherPackedRows(codec, packed, Int32Array.of(16));
    const padded = { rows: 16, cols: 40, bytes: one };
    expect(codec.unpackRows(padded, 1, 16).every((x) => x === 0)).toBe(true);
    expect(codec.unpackRows(padded, 0, 1).some((x) => x !== 0)).toBe(true);
  });

  it("refuses ids that are no rows, none at all, and bytes of another shape", () => {
    for (const bad of [-1, 17, 1 << 30]) {
      expect(() => gatherPackedRows(codec, packed, Int32Array.of(0, bad))).toThrow(
        `ids[1]: expected a row below 17, found ${bad}`,
      );
    }
    expect(() => gatherPackedRows(codec, packed, new Int32Array())).toThrow("expected a shape of positive integers");
    expect(() => gatherPackedRows(codec, { ...packed, cols: 80 }, Int32Array.of(0))).toThrow("expected length");
  });
});
