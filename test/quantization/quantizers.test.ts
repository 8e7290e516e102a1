import { describe, expect, it } from "vitest";
import { CODECS, type CodecId } from "../../src/codecs/index.ts";
import { UserError } from "../../src/errors.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { DenseMatrix } from "../../src/model/weight-source.ts";
import {
  isBlockQuantizer,
  matrixQuantizerOf,
  QUANTIZER_IDS,
  QUANTIZERS,
  quantizerOf,
  RECIPE_QUANTIZER_IDS,
} from "../../src/quantization/index.ts";
import { nearest } from "../../src/quantization/nearest.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import type { Quantizer } from "../../src/quantization/quantizer.ts";
import { prepareInput } from "../../src/quantization/quantizer-input.ts";
import { Random } from "../../src/tensor/random.ts";
import { valuesOf } from "../codecs/sample-numbers.ts";
import { sameOnAll } from "../maths/all-maths.ts";
import { correlatedGram } from "./correlated-gram.ts";

const [ROWS, COLS] = [12, 100];
const random = new Random(4);
const data = Float32Array.from({ length: ROWS * COLS }, () => random.nextNormal());
const matrix: DenseMatrix = { kind: "dense", rows: ROWS, cols: COLS, data };
const FORMS: readonly CodecId[] = [
  ...(["q2t-g32-s8", "q3s-g32", "q4t-g64", "q4a-g32-s8", "q5s-row", "q8a-g128", "bf16"] as const),
  ...(["q3s-g32-n24", "q4s-g32-n16", "q4s-g32-2of4", "q8s-g32-n8"] as const),
];
const gram = correlatedGram(COLS, 1);
const input = await prepareInput(plainMaths, gram, "factor");

const valuesFor = async (by: Quantizer, codec: CodecId, given = matrix) =>
  valuesOf(CODECS[codec], await by.quantize(plainMaths, given, CODECS[codec], { input }));

describe.each(QUANTIZER_IDS)("quantizer %s", (id) => {
  const quantizer: Quantizer = QUANTIZERS[id];
  it.each(FORMS)("packs to the same bytes by all maths: %s", async (codec) => {
    const bytes = await sameOnAll((maths) => packerOf(maths, id)(matrix, CODECS[codec], { input }));
    expect(bytes.length).toBe(CODECS[codec].packedBytes(ROWS, COLS));
  });

  it("treats each row by itself", async () => {
    const part: DenseMatrix = { kind: "dense", rows: 4, cols: COLS, data: data.slice(3 * COLS, 7 * COLS) };
    for (const codec of FORMS) {
      const whole = await valuesFor(quantizer, codec);
      expect(await valuesFor(quantizer, codec, part)).toEqual(whole.slice(3 * COLS, 7 * COLS));
    }
  });

  it("refuses weights that are not finite", async () => {
    const broken = { ...matrix, data: data.with(205, Number.NaN) };
    for (const codec of FORMS) {
      const work = quantizer.quantize(plainMaths, broken, CODECS[codec], { label: "blocks.0.mlp.up", input });
      await expect(work).rejects.toThrow(/^blocks\.0\.mlp\.up: .*row 2, column 5/);
    }
  });
});

const LOOKING = QUANTIZER_IDS.filter((id) => QUANTIZERS[id].needs !== "nothing");
describe.each(LOOKING)("quantizer %s, which looks at inputs", (id) => {
  const errorOf = async (by: Quantizer, codec: CodecId) => {
    const values = await valuesFor(by, codec);
    return plainMaths.hessianError({ w: data, values, gram: gram.gram, rows: ROWS, cols: COLS });
  };

  it("leaves a smaller output error than nearest", async () => {
    for (const codec of FORMS.filter((form) => CODECS[form].scheme !== "float")) {
      expect(await errorOf(QUANTIZERS[id], codec)).toBeLessThan(await errorOf(nearest, codec));
    }
  });

  it("says what it misses", async () => {
    const work = QUANTIZERS[id].quantize(plainMaths, matrix, CODECS["q4s-g32"], { label: "blocks.0.mlp.up" });
    await expect(work).rejects.toThrow(`blocks.0.mlp.up: quantizer ${id}: expected statistics`);
  });
});

describe("the quantizer table", () => {
  it("finds quantizers of matrices by name and names them all otherwise", () => {
    expect(QUANTIZER_IDS).toContain("nearest");
    for (const id of QUANTIZER_IDS) expect(quantizerOf(id)).toBe(QUANTIZERS[id]);
    for (const other of ["gptz", "learned-rounding"]) {
      expect(() => quantizerOf(other)).toThrow(UserError);
      expect(() => quantizerOf(other)).toThrow(`expected one of ${QUANTIZER_IDS.join(", ")}; found "${other}"`);
    }
  });

  it("knows which ones refine whole blocks, and what those begin with", () => {
    expect(RECIPE_QUANTIZER_IDS.filter(isBlockQuantizer)).toContain("learned-rounding");
    expect(matrixQuantizerOf("learned-rounding")).toBe("gptq");
    for (const id of QUANTIZER_IDS) expect(matrixQuantizerOf(id)).toBe(id);
  });
});
