import { readFileSync } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { openStatisticsDescent } from "../../src/calibration/statistics.ts";
import { CODECS, codecIdOf } from "../../src/codecs/index.ts";
import type { Maths } from "../../src/maths/maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { type DenseMatrix, denseMatrix } from "../../src/model/weight-source.ts";
import type { QuantizerId } from "../../src/quantization/index.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import { prepareInput, type QuantizerInput } from "../../src/quantization/quantizer-input.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { dataFile, TINYSTORIES_656K } from "../support/data.ts";
import { FIXTURES } from "../support/fixtures.ts";

const FIXTURE = path.join(FIXTURES, "tinystories-656k/quant_reference.json");
const IDS = path.join(FIXTURES, "tinystories-656k/calibration_ids.json");
const Figure = z.object({ out_mse: z.number() });
const Reference = z.object({
  matrices: z.record(
    z.string(),
    z.object({
      cases: z.array(
        z.object({
          scheme: z.string(),
          bits: z.number(),
          rtn: Figure,
          gptq: Figure.optional(),
          gptq_static_groups: Figure.optional(),
        }),
      ),
    }),
  ),
});
const Ids = z.object({ "TinyStories-656K": z.object({ ids: z.array(z.array(z.number())) }) });
const MATRICES = [
  ["model.layers.0.self_attn.q_proj", "blocks.0.attn.q"],
  ["model.layers.0.mlp.gate_proj", "blocks.0.mlp.gate"],
  ["model.layers.1.mlp.down_proj", "blocks.1.mlp.down"],
] as const;

/**
 * A matrix at a codec, with the inputs that the fixture's calibration ids give it, and the reference's output errors.
 */
export interface QuantizerCase {
  readonly id: string;
  readonly codec: string;
  readonly matrix: DenseMatrix;
  readonly input: QuantizerInput;
  readonly reference: { readonly rtn: number; readonly gptq: number; readonly staticGroups: number };
}

/** All cases of test/fixtures/tinystories-656k that have figures of GPTQ; needs the model, TINYSTORIES_656K. */
export async function readQuantizerCases(maths: Maths): Promise<QuantizerCase[]> {
  const ids = Ids.parse(JSON.parse(readFileSync(IDS, "utf8")))["TinyStories-656K"].ids;
  const reference = Reference.parse(JSON.parse(readFileSync(FIXTURE, "utf8"))).matrices;
  const source = await openCheckpoint(dataFile(TINYSTORIES_656K));
  const descent = await openStatisticsDescent({
    source,
    sequences: ids.map((sequence) => Int32Array.from(sequence)),
    createExecutor: executorsOf(TEST_EXECUTORS[0], "streamed"),
    maths,
  });
  const blocks = [await descent.collect()];
  await descent.advance();
  blocks.push(await descent.collect());
  await descent.close();
  const cases: QuantizerCase[] = [];
  for (const [name, id] of MATRICES) {
    const input = await prepareInput(maths, blocks[Number(id.split(".")[1])].of(id), "factor");
    if (!input) throw new Error("an input is asked for");
    const matrix = denseMatrix(await source.readMatrix(id));
    for (const { scheme, bits, rtn, gptq, gptq_static_groups } of reference[name].cases) {
      if (!gptq || !gptq_static_groups) continue;
      const codec = `q${bits}${scheme === "sym" ? "s" : "a"}-g32`;
      const errors = { rtn: rtn.out_mse, gptq: gptq.out_mse, staticGroups: gptq_static_groups.out_mse };
      cases.push({ id, codec, matrix, input, reference: errors });
    }
  }
  await source.close();
  return cases;
}

/** Mean squared output error by a quantizer. */
export async function outputError(
  maths: Maths,
  quantizer: QuantizerId,
  { codec: codecId, matrix, input }: Pick<QuantizerCase, "codec" | "matrix" | "input">,
): Promise<number> {
  const codec = CODECS[codecIdOf(codecId)];
  const bytes = await packerOf(maths, quantizer)(matrix, codec, { input });
  const { rows, cols, data } = matrix;
  return maths.hessianError({
    w: data,
    values: codec.unpackRows({ rows, cols, bytes }, 0, rows),
    gram: input.gram,
    rows,
    cols,
  });
}
