import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { CODECS, codecIdOf } from "../../src/codecs/index.ts";
import { openSafetensors } from "../../src/formats/safetensors/index.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { DenseMatrix } from "../../src/model/weight-source.ts";
import { nearest } from "../../src/quantization/nearest.ts";
import { valuesOf } from "../codecs/sample-numbers.ts";
import { dataFile, hasData, needsData, TINYSTORIES_656K } from "../support/data.ts";
import { FIXTURES } from "../support/fixtures.ts";
import { roundToNearest } from "./round-to-nearest.ts";

const WEIGHTS = `${TINYSTORIES_656K}/model.safetensors`;
/** Codes of one matrix: part of the model, so they lie beside it. */
const CODES = "fixtures/quantizers/quant_codes";

const SCHEMES = { sym: "symmetric", asym: "asymmetric", asym_min: "asymmetric-min" } as const;
const Rtn = z.object({
  mse: z.number(),
  rel: z.number(),
  mse_max_entry: z.number(),
  sha256: z.string(),
  ties: z.number(),
});
const Case = z.object({ scheme: z.enum(["sym", "asym", "asym_min"]), bits: z.number(), rtn: Rtn });
const Reference = z.object({
  matrices: z.record(z.string(), z.object({ shape: z.tuple([z.number(), z.number()]), cases: z.array(Case) })),
});
const Codes = z.object({ scheme: z.enum(["sym", "asym"]), bits: z.number(), rtn_codes: z.array(z.array(z.number())) });

const readJson = (file: string): unknown => JSON.parse(readFileSync(file, "utf8"));
const reference = Reference.parse(readJson(path.join(FIXTURES, "tinystories-656k/quant_reference.json"))).matrices;

async function readMatrix(name: string): Promise<DenseMatrix> {
  const file = await openSafetensors(dataFile(WEIGHTS));
  const [rows, cols] = reference[name].shape;
  const data = await file.readF32(`${name}.weight`, 0, rows * cols);
  await file.close();
  return { kind: "dense", rows, cols, data };
}

const meanSquare = (found: ArrayLike<number>, { data }: DenseMatrix) =>
  data.reduce((sum, x, i) => sum + (found[i] - x) ** 2, 0) / data.length;

describe.skipIf(!hasData(WEIGHTS)).each(Object.keys(reference))(
  needsData("the reference figures of %s", WEIGHTS),
  (name) => {
    const cases = reference[name].cases.map((entry) => [entry.scheme, entry.bits, entry.rtn] as const);

    it.each(cases)("plain rounding: %s, %i bits", async (scheme, bits, rtn) => {
      const matrix = await readMatrix(name);
      const { codes, values } = roundToNearest(matrix, { bits, group: 32, scheme: SCHEMES[scheme] });
      expect(Math.abs(meanSquare(values, matrix) / rtn.mse - 1)).toBeLessThan(1e-8);
      const worst = values.reduce((most, x, i) => Math.max(most, Math.abs(x - matrix.data[i])), 0);
      expect(worst).toBeCloseTo(rtn.mse_max_entry, 7);
      expect(createHash("sha256").update(Uint8Array.from(codes)).digest("hex")).toBe(rtn.sha256);
    });

    it.each(cases)("the search leaves no larger error: %s, %i bits", async (scheme, bits, rtn) => {
      const matrix = await readMatrix(name);
      const codec = CODECS[codecIdOf(`q${bits}${scheme === "sym" ? "s" : "a"}-g32`)];
      const error = meanSquare(valuesOf(codec, await nearest.quantize(plainMaths, matrix, codec)), matrix);
      expect(error).toBeLessThanOrEqual(rtn.mse);
      // What it is for: a search that found nothing would pass the line above.
      if (bits <= 4) expect(error).toBeLessThan(0.97 * rtn.mse);
    });
  },
);

describe.skipIf(!hasData(WEIGHTS) || !hasData(CODES))(needsData("the reference codes", CODES), () => {
  const name = "model.layers.0.self_attn.q_proj";

  it.each(["sym4", "asym4"])("%s: all but the ties", async (file) => {
    const { scheme, bits, rtn_codes } = Codes.parse(readJson(dataFile(`${CODES}/${name}.${file}.json`)));
    const ties = reference[name].cases.find((entry) => entry.scheme === scheme && entry.bits === bits)?.rtn.ties ?? 0;
    const { codes } = roundToNearest(await readMatrix(name), { bits, group: 32, scheme: SCHEMES[scheme] });
    const differences = rtn_codes.flat().map((code, i) => Math.abs(code - codes[i]));
    expect(codes.length).toBe(differences.length);
    expect(Math.max(...differences)).toBeLessThanOrEqual(1);
    expect(differences.filter((difference) => difference > 0).length).toBeLessThanOrEqual(ties);
  });
});
