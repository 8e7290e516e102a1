import { describe, expect, it } from "vitest";
import { CODEC_IDS, CODECS, type CodecId } from "../../src/codecs/index.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { DenseMatrix, WeightSource } from "../../src/model/weight-source.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import { checkRange } from "../../src/quantization/range-check.ts";
import { Random } from "../../src/tensor/random.ts";

const [ROWS, COLS] = [20, 130];

/** Normal weights times what each is given. */
function matrixOf(factorOf: (row: number, col: number) => number): DenseMatrix {
  const random = new Random(7);
  const data = Float32Array.from(
    { length: ROWS * COLS },
    (_, i) => random.nextNormal() * factorOf(Math.floor(i / COLS), i % COLS),
  );
  return { kind: "dense", rows: ROWS, cols: COLS, data };
}

function check(matrix: DenseMatrix, codec: CodecId, bandWeights?: number): Promise<void> {
  const source: Pick<WeightSource, "label" | "readRows"> = {
    label: "model",
    readRows: async (_, from, to) => matrix.data.slice(from * COLS, to * COLS),
  };
  return checkRange({ source, id: "blocks.3.attn.o", rows: ROWS, cols: COLS, codec, maths: plainMaths, bandWeights });
}

/** What packing loses of a matrix, as a part of it. */
async function relativeError(matrix: DenseMatrix, id: CodecId): Promise<number> {
  const codec = CODECS[id];
  const bytes = await packerOf(plainMaths, "nearest")(matrix, codec);
  const values = codec.unpackRows({ rows: ROWS, cols: COLS, bytes }, 0, ROWS);
  const squares = (numbers: Float32Array) => numbers.reduce((sum, x) => sum + x * x, 0);
  return Math.sqrt(squares(values.map((x, i) => x - matrix.data[i])) / squares(matrix.data));
}

const refused = (work: Promise<void>) =>
  work.then(
    () => false,
    (error: { code?: string }) => {
      expect(error.code).toBe("WEIGHTS_RANGE");
      return true;
    },
  );

describe("small-weights-vanish: weights below the range of a codec", () => {
  it.each(CODEC_IDS)("%s: are kept as well as large ones, or refused, at every magnitude", async (id) => {
    const usual = await relativeError(
      matrixOf(() => 1),
      id,
    );
    const kept: number[] = [];
    for (const power of [0, 4, 8, 12, 16, 17, 18, 19, 20, 21, 22, 24, 26, 30, 60, 100, 120]) {
      const matrix = matrixOf(() => 2 ** -power);
      if (await refused(check(matrix, id))) continue;
      kept.push(power);
      expect(await relativeError(matrix, id), `2^-${power}`).toBeLessThan(2 * usual + 2 ** -7 + 1e-6);
    }
    expect(kept).toEqual(expect.arrayContaining([0, 4, 8, 12]));
    // Scales of two levels, bf16 and f32 reach far; f16 does not.
    const { scaleKind } = CODECS[id];
    const isNarrow = scaleKind === "f16" || id === "f16";
    expect(kept.includes(30)).toBe(!isNarrow);
  });

  it("are named by matrix and row, with what is lost and what to choose", async () => {
    await expect(
      check(
        matrixOf((row) => (row === 5 ? 1e-6 : 1e-7)),
        "q8s-g32",
      ),
    ).rejects.toMatchObject({
      message: expect.stringMatching(
        /^blocks\.3\.attn\.o: row 5: expected weights that the scales of q8s-g32 can express, found smaller ones \(relative error [01]\.\d+; 0\.00\d+ with a wider range\)$/,
      ),
      hint: "choose a codec with scales of two levels (-s8), bf16 or f32 for this matrix",
    });
    await expect(
      check(
        matrixOf(() => 1e-7),
        "f16",
      ),
    ).rejects.toMatchObject({
      message: expect.stringContaining("expected weights that f16 can express"),
      hint: "choose bf16 or f32 for this matrix",
    });
  });

  it("are let be where they are a trifle of the matrix: rows that have died, columns, zeros", async () => {
    for (const id of ["q8s-g32", "q4a-g64", "q4t-g32-s8", "q8s-row", "f16"] as const) {
      await check(
        matrixOf((row) => (row % 2 ? 1e-9 : 0.02)),
        id,
      );
      await check(
        matrixOf((_, col) => (col < 32 ? 1e-9 : 0.02)),
        id,
      );
      await check(
        matrixOf(() => 0),
        id,
      );
    }
  });

  it("are noticed where one group of a row is so large that 8-bit scales leave nothing for the others", async () => {
    // The large one counts little in all: every row has many small groups that matter more.
    const wide = matrixOf((_, col) => (col < 32 ? 1 : 1 / 300));
    for (const id of ["q8s-g32-s8", "q8a-g32-s8"] as const) {
      const lost = await relativeError(wide, id);
      expect(await refused(check(wide, id))).toBe(lost > 2 * (await relativeError(wide, "q8s-g32")) + 2 ** -7);
    }
  });

  it("are found in bands as in the whole", async () => {
    const late = matrixOf((row) => (row < 16 ? 1e-7 : 2e-7));
    expect(await refused(check(late, "q8s-g32", 16 * COLS))).toBe(true);
    // The bands with small rows are a trifle beside the others.
    const mixed = matrixOf((row) => (row < 16 ? 1 : 1e-7));
    expect(await refused(check(mixed, "q8s-g32", 16 * COLS))).toBe(false);
  });
});
