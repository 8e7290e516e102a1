import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Codec, Quantized } from "../../../src/codecs/codec.ts";
import type { NativeEngine, NativeMatrix } from "../../../src/native/addon.ts";
import { sampleNumbers } from "../../codecs/sample-numbers.ts";
import { withinKept } from "../../codecs/within-kept.ts";
import {
  ADDON_STATE,
  EVERY_CODEC,
  engineOf,
  expectBits,
  expectWithin,
  HAS_ADDON,
  INTEGER_CODECS,
  ISAS,
  nativeMatrix,
  normals,
  onEveryIsa,
} from "../engines.ts";
import { floatProduct, floatProductBounded, floatProductTransposed } from "../references/float-product.ts";
import { type IntegerMatrix, integerProduct, integerProductBounded } from "../references/integer-product.ts";
import { quantizeRows } from "../references/quantize-rows.ts";
import { HAS_KERNELS, onEveryTable } from "./tables.ts";

/** Partial tiles, chunks and groups; one column; groups longer than the row; several tiles and groups. */
const SHAPES = [
  { rows: 1, cols: 1, count: 1 },
  { rows: 5, cols: 7, count: 2 },
  { rows: 16, cols: 32, count: 1 },
  { rows: 33, cols: 130, count: 3 },
  { rows: 50, cols: 96, count: 9 },
  { rows: 20, cols: 288, count: 17 },
];

interface Packed {
  readonly quantized: Quantized;
  readonly matrix: NativeMatrix;
}

const packedOf = (codec: Codec, quantized: Quantized): Packed => ({
  quantized,
  matrix: nativeMatrix(codec, quantized.rows, quantized.cols, codec.pack(quantized)),
});

const randomPacked = (codec: Codec, rows: number, cols: number) => packedOf(codec, sampleNumbers(codec, rows, cols));

function integers({ quantized }: Packed): IntegerMatrix {
  if (quantized.kind !== "integer") throw new Error("expected an integer codec");
  return quantized;
}

type Product = "product" | "productTransposed" | "productInt8";

function multiply(engine: NativeEngine, product: Product, matrix: NativeMatrix, x: Float32Array): Float32Array {
  const [inner, outer] = product === "productTransposed" ? [matrix.rows, matrix.cols] : [matrix.cols, matrix.rows];
  const y = new Float32Array((x.length / inner) * outer).fill(Number.NaN);
  engine[product](matrix, x, y);
  return y;
}

/** The numbers of the codec's own reader, which test/codecs holds to a slow twin. */
const denseOf = (codec: Codec, { matrix }: Packed) => {
  const { rows, cols } = matrix;
  return { values: codec.unpackRows(matrix, 0, rows), rows, cols };
};

/**
 * The largest and the smallest f16, both zeros and a power of two; or as wide multiples of rows' scales as wide as bf16
 * allows.
 */
function scalesOfAnySize({ scales, rowScales }: IntegerMatrix): Pick<IntegerMatrix, "scales" | "rowScales"> {
  if (!rowScales) return { scales: scales.map((_, i) => [65504, 2 ** -24, 0, -0, -1][i % 5]), rowScales };
  const units = rowScales.map((_, row) => [2 ** 100, 2 ** -133, 0, 1][row % 4]);
  const groups = scales.length / rowScales.length;
  return { scales: scales.map((_, i) => [127, -127, 0, 1][i % 4] * units[Math.floor(i / groups)]), rowScales: units };
}

describe.skipIf(!HAS_ADDON)(`packed products (${ADDON_STATE})`, () => {
  it("run on at least the plain table, which is the slowest", () => {
    expect(ISAS[0]).toBe("scalar");
  });

  it.skipIf(!HAS_KERNELS).each(EVERY_CODEC)("unpackRow gives the numbers of the codec: $id", ({ codec }) => {
    for (const { rows, cols } of SHAPES) {
      const { matrix } = randomPacked(codec, rows, cols);
      for (let row = 0; row < rows; row++) {
        const found = onEveryTable((kernels) => kernels.unpackRow(matrix, row));
        expectBits(found, codec.unpackRows(matrix, row, row + 1), `row ${row}`);
      }
    }
  });

  it.each(EVERY_CODEC)("float product and its transpose are the fma sums in order: $id", ({ codec }) => {
    for (const { rows, cols, count } of SHAPES) {
      const packed = randomPacked(codec, rows, cols);
      const dense = denseOf(codec, packed);
      const what = `${rows} x ${cols}, ${count} rows`;
      const x = normals(count * cols, "x");
      const y = onEveryIsa((engine) => multiply(engine, "product", packed.matrix, x));
      expectBits(y, floatProduct(dense, x), what);
      expectWithin(y, floatProductBounded(dense, x), what);
      const dy = normals(count * rows, "dy");
      const dx = onEveryIsa((engine) => multiply(engine, "productTransposed", packed.matrix, dy));
      expectBits(dx, floatProductTransposed(dense, dy), `${what}, transposed`);
    }
  });

  it.each(INTEGER_CODECS)("integer product is the sum of exact chunks in order: $id", ({ codec }) => {
    for (const { rows, cols, count } of SHAPES) {
      const packed = randomPacked(codec, rows, cols);
      const what = `${rows} x ${cols}, ${count} rows`;
      const x = normals(count * cols, "x", 3);
      const quantized = quantizeRows(x, count, cols);
      const y = onEveryIsa((engine) => multiply(engine, "productInt8", packed.matrix, x));
      expectBits(y, integerProduct(codec, integers(packed), quantized, count), what);
      expectWithin(y, integerProductBounded(codec, integers(packed), quantized, count), what);
    }
  });

  it.each(INTEGER_CODECS)("extreme levels do not saturate: $id", ({ codec }) => {
    const [rows, cols] = [18, 160];
    const largest = 2 ** codec.bits - 1;
    const patterns: ((i: number) => number)[] = [
      () => 0,
      () => largest,
      (i) => (i % 2) * largest,
      (i) => (i % 3 ? 0 : largest),
    ];
    const signs: ((i: number) => number)[] = [() => 1, () => -1, (i) => (i % 2 ? 1 : -1)];
    for (const code of patterns) {
      const sample = sampleNumbers(codec, rows, cols);
      if (sample.kind !== "integer") throw new Error("expected an integer codec");
      const extreme = sample.codes.map((_, i) => code(i % cols));
      const packed = packedOf(codec, { ...sample, codes: withinKept(codec, extreme, cols) });
      for (const sign of signs) {
        // Every level is 127 or -127.
        const x = Float32Array.from({ length: 2 * cols }, (_, i) => sign(i) * (i < cols ? 1 : 1e-3));
        const y = onEveryIsa((engine) => multiply(engine, "productInt8", packed.matrix, x));
        expectBits(y, integerProduct(codec, integers(packed), quantizeRows(x, 2, cols), 2), codec.id);
      }
    }
  });

  it.each(INTEGER_CODECS)("scales and activations of any size, and zeros, give the same bits: $id", ({ codec }) => {
    const [rows, cols] = [17, 100];
    const sample = sampleNumbers(codec, rows, cols);
    if (sample.kind !== "integer") throw new Error("expected an integer codec");
    const packed = packedOf(codec, { ...sample, ...scalesOfAnySize(sample) });
    for (const size of [0, 1e-42, 127 * 2 ** -126, 1e-30, 1, 1e30]) {
      const x = normals(3 * cols, "x", size);
      x.fill(0, 32, 64);
      const y = onEveryIsa((engine) => multiply(engine, "productInt8", packed.matrix, x));
      expectBits(y, integerProduct(codec, integers(packed), quantizeRows(x, 3, cols), 3), `size ${size}`);
    }
  });

  it("any shape, any seed", () => {
    const shape = fc.tuple(
      fc.integer({ min: 1, max: 40 }),
      fc.integer({ min: 1, max: 150 }),
      fc.integer({ min: 1, max: 18 }),
      fc.integer({ min: 0, max: INTEGER_CODECS.length - 1 }),
      fc.integer({ min: 1, max: 1e6 }),
    );
    fc.assert(
      fc.property(shape, ([rows, cols, count, which, seed]) => {
        const { codec } = INTEGER_CODECS[which];
        const packed = packedOf(codec, sampleNumbers(codec, rows, cols, seed));
        const x = normals(count * cols, `x${seed}`);
        const y = onEveryIsa((engine) => multiply(engine, "productInt8", packed.matrix, x));
        expectBits(y, integerProduct(codec, integers(packed), quantizeRows(x, count, cols), count), codec.id);
        const z = onEveryIsa((engine) => multiply(engine, "product", packed.matrix, x));
        expectBits(z, floatProduct(denseOf(codec, packed), x), codec.id);
      }),
      { numRuns: 60 },
    );
  });

  it.each(INTEGER_CODECS)("one level more in one weight is outside the bound: $id", ({ codec }) => {
    const [rows, cols, row] = [16, 64, 3];
    const sample = sampleNumbers(codec, rows, cols);
    if (sample.kind !== "integer") throw new Error("expected an integer codec");
    const codes = sample.codes.slice();
    // Of a sparse codec one that is stored.
    const at = codes.findIndex((code, i) => i >= row * cols + 32 && !(codec.kept && code === 2 ** (codec.bits - 1)));
    codes[at] ^= 1;
    const wrong = packedOf(codec, { ...sample, codes });
    const x = normals(cols, "x", 3);
    const y = multiply(engineOf(ISAS[0]), "productInt8", wrong.matrix, x);
    const bounded = integerProductBounded(codec, sample, quantizeRows(x, 1, cols), 1);
    expect(Math.abs(y[row] - bounded.values[row])).toBeGreaterThan(10 * bounded.bounds[row]);
  });

  it("a result does not depend on the threads", () => {
    const shape = { rows: 200, cols: 96 };
    for (const { codec } of [EVERY_CODEC[0], ...INTEGER_CODECS.slice(8, 12)]) {
      const { matrix } = randomPacked(codec, shape.rows, shape.cols);
      const products: Product[] = codec.scheme === "float" ? ["product"] : ["product", "productInt8"];
      for (const product of [...products, "productTransposed"] as const) {
        const x = normals(5 * (product === "productTransposed" ? shape.rows : shape.cols), "x");
        const alone = multiply(engineOf(ISAS[ISAS.length - 1]), product, matrix, x);
        for (const threads of [2, 3]) {
          const together = multiply(engineOf(ISAS[ISAS.length - 1], threads), product, matrix, x);
          expectBits(together, alone, `${codec.id} ${product} on ${threads} threads`);
        }
      }
    }
  });
});
