import { afterAll, describe, expect, it } from "vitest";
import { CODECS, codecIdOf } from "../../src/codecs/index.ts";
import { UserError } from "../../src/errors.ts";
import { openMaths } from "../../src/maths/open-maths.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { DenseMatrix } from "../../src/model/weight-source.ts";
import { gptq } from "../../src/quantization/gptq.ts";
import { nearest } from "../../src/quantization/nearest.ts";
import type { Quantizer } from "../../src/quantization/quantizer.ts";
import { prepareInput, type QuantizerInput } from "../../src/quantization/quantizer-input.ts";
import { weighted } from "../../src/quantization/weighted.ts";
import { Random } from "../../src/tensor/random.ts";
import { valuesOf } from "../codecs/sample-numbers.ts";
import { hasData, needsData, TINYSTORIES_656K } from "../support/data.ts";
import { correlatedGram } from "./correlated-gram.ts";
import { outputError, readQuantizerCases } from "./quantizer-cases.ts";

/** Mean squared error of an output. */
async function errorOf(
  quantizer: Quantizer,
  codecId: string,
  matrix: DenseMatrix,
  input: QuantizerInput,
): Promise<number> {
  const codec = CODECS[codecIdOf(codecId)];
  const values = valuesOf(codec, await quantizer.quantize(plainMaths, matrix, codec, { input }));
  const { rows, cols, data } = matrix;
  return plainMaths.hessianError({ w: data, values, gram: input.gram, rows, cols });
}

const random = new Random(4);
const matrix: DenseMatrix = {
  kind: "dense",
  rows: 12,
  cols: 100,
  data: Float32Array.from({ length: 1200 }, () => random.nextNormal()),
};
const FORMS = ["q2t-g32-s8", "q3s-g32", "q4t-g64", "q4a-g32-s8", "q5s-row", "q8a-g128"];

describe("gptq and weighted", () => {
  it.each(FORMS)("%s: each leaves a smaller output error than the one before", async (id) => {
    const input = await prepareInput(plainMaths, correlatedGram(100, 1), "factor");
    if (!input) throw new Error("an input is asked for");
    const byWeights = await errorOf(weighted, id, matrix, input);
    expect(byWeights).toBeLessThan(await errorOf(nearest, id, matrix, input));
    expect(await errorOf(gptq, id, matrix, input)).toBeLessThan(0.6 * byWeights);
  });

  it("take no gram that is not finite, unless they need none", async () => {
    const { cols, gram } = correlatedGram(20, 1);
    await expect(prepareInput(plainMaths, { cols, gram: gram.with(7, Number.NaN) }, "weights")).rejects.toThrow(
      UserError,
    );
    expect(await prepareInput(plainMaths, { cols, gram: gram.with(7, Number.NaN) }, "nothing")).toBeUndefined();
  });

  it("raise the damping where a gram is not positive definite", async () => {
    const { cols, gram } = correlatedGram(20, 1);
    const plain = await prepareInput(plainMaths, { cols, gram }, "factor");
    // A sum that was rounded badly: one direction is negative, by more than the damping of the first attempt.
    const input = await prepareInput(plainMaths, { cols, gram: gram.map((x, i) => (i === 0 ? -3 * x : x)) }, "factor");
    expect(input?.damping).toBeGreaterThan(5 * (plain?.damping ?? 0));
    expect(input?.factor?.every(Number.isFinite)).toBe(true);
  });

  it("take columns that are always 0, and inputs that are 0 altogether", async () => {
    const { cols, gram } = correlatedGram(100, 3);
    const dead = gram.map((x, i) => (i % cols === 17 || Math.floor(i / cols) === 17 ? 0 : x));
    for (const given of [dead, new Float32Array(cols * cols)]) {
      const input = await prepareInput(plainMaths, { cols, gram: given }, "factor");
      const codec = CODECS["q4s-g32"];
      const found = valuesOf(codec, await gptq.quantize(plainMaths, matrix, codec, { input }));
      found.forEach((value, i) => {
        expect(Math.abs(value - matrix.data[i])).toBeLessThan(2);
      });
    }
  });
});

const maths = await openMaths({ threads: 2 });
afterAll(() => maths[Symbol.dispose]());

describe.skipIf(!hasData(TINYSTORIES_656K))(needsData("gptq beside the reference figures", TINYSTORIES_656K), () => {
  it("is below plain rounding, nearest and both reference GPTQs on every matrix", async () => {
    const cases = await readQuantizerCases(maths);
    for (const one of cases) {
      const { rtn, gptq: theirs, staticGroups } = one.reference;
      const bar = Math.min(rtn, await outputError(maths, "nearest", one), theirs, staticGroups);
      expect(await outputError(maths, "gptq", one), `${one.id} ${one.codec}`).toBeLessThan(bar);
    }
    expect(cases.length).toBe(24);
  });
});
