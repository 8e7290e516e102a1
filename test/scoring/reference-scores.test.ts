import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { calibrationFromSequences } from "../../src/calibration/sequences.ts";
import { type Checkpoint, openCheckpoint } from "../../src/model/checkpoint.ts";
import { rowsOf } from "../../src/passes/rows.ts";
import { compareOutputs } from "../../src/scoring/kl/compare.ts";
import { roundedMatrices, sourceAt } from "../../src/scoring/rounded-source.ts";
import { scoreModel, scoreModels } from "../../src/scoring/score-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { fixtureRounding, REFERENCED, readReference } from "./reference.ts";

const CASES = TEST_EXECUTORS.flatMap((kind) => REFERENCED.map((referenced) => ({ ...referenced, kind })));

describe.each(CASES)("reference scores of $model on $kind", ({ kind, ...referenced }) => {
  const createExecutor = executorsOf(kind, "streamed");
  const reference = readReference(referenced);
  let source: Checkpoint;
  beforeAll(async () => {
    source = await openCheckpoint(referenced.checkpoint);
  });
  afterAll(() => source.close());

  function use() {
    const calibration = calibrationFromSequences(reference.sequences);
    const inputs = {
      source,
      checkpointId: source.id,
      calibration,
      codecs: ["2bit", "4bit", "8bit"],
      createExecutor,
      matrices: roundedMatrices(source, fixtureRounding),
    };
    return { ...reference, inputs };
  }

  function expectClose(found: number, expected: number, relative = 1e-4): void {
    expect(Math.abs(found / expected - 1), `${found} for ${expected}`).toBeLessThan(relative);
  }

  describe.each(["token", "mean", "last"])("lsaq, pooling %s", (pooling) => {
    it.each([
      [true, "norm_head"],
      [false, "raw_head"],
    ])("norm %s", async (norm, name) => {
      const { inputs, scores, k } = use();
      const found = await scoreModel({ ...inputs, scorer: "lsaq", options: { k, norm, pooling } });
      scores.lsaq[`${name}/${pooling}`].forEach((expected, block) => {
        expectClose(found.importance?.[block] ?? Number.NaN, expected);
      });
      expect(found).toMatchObject({
        scorer: "lsaq",
        options: { k, norm, pooling, sequences: 8 },
        tokens: 1024,
        losses: null,
      });
    });
  });

  it("cosine: block influence; output-mse: the LUC figures; both in one walk", async () => {
    const { inputs, scores } = use();
    const [cosine, outputMse] = await scoreModels(inputs, [{ scorer: "cosine" }, { scorer: "output-mse" }]);
    scores.block_influence.forEach((expected, block) => {
      expectClose(cosine.importance?.[block] ?? Number.NaN, expected);
    });
    for (const [codec, blocks] of Object.entries(scores.luc)) {
      blocks.forEach((expected, block) => {
        const unit = `blocks.${block}`;
        const details = outputMse.details?.[unit][codec];
        expectClose(outputMse.losses?.[unit][codec] ?? Number.NaN, expected.rel_out);
        expectClose(details?.mse ?? Number.NaN, expected.mse);
        expectClose(details?.relDelta ?? Number.NaN, expected.rel_delta);
      });
    }
  });

  it("kl: one block at 2 and at 4 bits", async () => {
    const { inputs, scores } = use();
    const codecs = ["2bit", "4bit"] as const;
    const found = await scoreModel({ ...inputs, scorer: "kl", codecs });
    for (const codec of codecs) {
      scores.kl[codec].per_block.forEach((expected, block) => {
        expectClose(found.losses?.[`blocks.${block}`][codec] ?? Number.NaN, expected);
      });
    }
    // The fixture's rounding leaves embedding and head alone: nothing differs, so nothing is lost.
    expect(found.losses?.embedding).toEqual({ "2bit": 0, "4bit": 0 });
  });

  it.each(["2bit", "4bit", "8bit"] as const)("KL of all blocks at %s", async (codec) => {
    const { inputs, scores } = use();
    const rows = rowsOf(inputs.calibration.sequences);
    const executors = [
      await createExecutor(source),
      await createExecutor(sourceAt(source, roundedMatrices(source, fixtureRounding), codec)),
    ];
    const outputs = [];
    for (const executor of executors) {
      const hidden = await executor.runBlocks(await executor.embed(rows.ids), 0, source.spec.blocks.length, rows.spans);
      outputs.push({ executor, hidden });
    }
    const [divergence] = await compareOutputs(outputs[0], outputs.slice(1), rows.ids.length, { logitBytes: 1 << 20 });
    expectClose(divergence, scores.kl[codec].all);
    for (const executor of executors) await executor.dispose();
  });
});
