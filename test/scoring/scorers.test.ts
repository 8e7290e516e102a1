import * as tf from "@tensorflow/tfjs-core";
import { describe, expect, it } from "vitest";
import { calibrationFromSequences } from "../../src/calibration/sequences.ts";
import type { Progress } from "../../src/progress.ts";
import type { ExecutorFactory } from "../../src/runtime/executor.ts";
import { createTfjsExecutor } from "../../src/runtime/tfjs/executor.ts";
import { isScorerId, SCORER_IDS, SCORERS } from "../../src/scoring/index.ts";
import { roundedMatrices } from "../../src/scoring/rounded-source.ts";
import { scoreModel, scoreModels } from "../../src/scoring/score-model.ts";
import { type Losses, Scores } from "../../src/scoring/scores.ts";
import { keptIn } from "./kept-losses.ts";
import { fixtureRounding } from "./reference.ts";
import { type Damage, randomSequences, randomSource, tinySpec } from "./tiny-model.ts";

const createExecutor: ExecutorFactory = (source) => createTfjsExecutor(source, { residency: "streamed" });
const BLOCKS = 4;
const calibration = calibrationFromSequences(randomSequences(5, 16, 96, 1));

/** Rounds every matrix, embedding and head too. */
const roundAll = (codec: string) => {
  const rounding = fixtureRounding(codec);
  return (_id: string, matrix: Parameters<typeof rounding>[1]) => rounding("blocks.", matrix);
};

function inputs(options: { damage?: Damage; tied?: boolean } = {}) {
  const source = randomSource(tinySpec(BLOCKS, options.tied), 5, options.damage);
  const matrices = roundedMatrices(source, roundAll);
  return { source, checkpointId: "c", calibration, codecs: ["2bit", "4bit"], createExecutor, matrices };
}

/** All scorers at once on the undamaged model. */
const together = once(() =>
  scoreModels(
    inputs(),
    SCORER_IDS.map((scorer) => ({ scorer })),
  ),
);

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => {
    result ??= work();
    return result;
  };
}

/** Importance of each block: as measured, or the loss at 4 bits. */
function ranking(scores: Scores): number[] {
  return (
    scores.importance ?? Array.from({ length: BLOCKS }, (_, i) => scores.losses?.[`blocks.${i}`]["4bit"] ?? Number.NaN)
  );
}

/** Block 2 writes far more into the residual stream, and a few large weights spoil the levels of their groups. */
const spoil: Damage = (id, data) => {
  if (id !== "blocks.2.attn.o" && id !== "blocks.2.mlp.down") return;
  for (let i = 0; i < data.length; i++) data[i] *= i % 16 === 0 ? 60 : 6;
};

/** Keys and queries so large that their products are beyond f32. */
const overflow: Damage = (id, data) => {
  if (!/attn\.[qk]$/.test(id)) return;
  for (let i = 0; i < data.length; i++) data[i] *= 1e25;
};

describe.each(SCORER_IDS)("scorer %s", (scorer) => {
  it("weights-nan: ends in one line where hidden states are not finite", async () => {
    await expect(scoreModel({ ...inputs({ damage: overflow }), scorer })).rejects.toMatchObject({
      ...{ name: "UserError", code: "LOGITS_NOT_FINITE" },
    });
  });

  it("gives finite numbers, one a block, valid by the schema; the same alone as with others", async () => {
    const scores = await scoreModel({ ...inputs(), scorer });
    expect(Scores.parse(JSON.parse(JSON.stringify(scores)))).toEqual(scores);
    expect(ranking(scores)).toHaveLength(BLOCKS);
    expect(ranking(scores).every(Number.isFinite)).toBe(true);
    expect(scores).toMatchObject({ scorer, checkpointId: "c", calibrationId: calibration.id, tokens: 80 });
    expect(scores.losses !== null).toBe(SCORERS[scorer].predictsLoss);
    expect((await together()).find((other) => other.scorer === scorer)).toEqual(scores);
  });

  it("ranks a damaged block first", async () => {
    const values = ranking(await scoreModel({ ...inputs({ damage: spoil }), scorer }));
    expect(values.indexOf(Math.max(...values))).toBe(2);
  });

  it("uses as many tokens as its option says", async () => {
    const scores = await scoreModel({ ...inputs(), scorer, options: { tokens: 40 } });
    expect(scores).toMatchObject({ tokens: 40, options: { sequences: 3 } });
  });

  it("refuses options it does not know, and tells which", async () => {
    const work = scoreModel({ ...inputs(), scorer, options: { wrong: 1 } });
    await expect(work).rejects.toThrow(new RegExp(`^scorer ${scorer}: options: .*wrong`));
    await expect(scoreModel({ ...inputs(), scorer, options: { tokens: 0 } })).rejects.toThrow("options: tokens:");
  });

  it("reports progress up to the end and stops when told", async () => {
    const reports: number[] = [];
    await scoreModel({ ...inputs(), scorer, onProgress: ({ done, total }) => reports.push(done / total) });
    expect(reports.at(-1)).toBeCloseTo(1, 9);
    expect(reports.every((share, i) => i === 0 || share >= reports[i - 1])).toBe(true);
    const stop = new AbortController();
    const stopped = scoreModel({ ...inputs(), scorer, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toThrow("stopped");
  });
});

describe("scoreModels", () => {
  it("leaves no tensor behind, finished or stopped", async () => {
    await together();
    const before = tf.memory().numTensors;
    for (const scorer of SCORER_IDS) {
      const stop = new AbortController();
      const onProgress = ({ done, total }: Progress) => done > total / 3 && stop.abort();
      const stopped = scoreModel({ ...inputs(), scorer, signal: stop.signal, onProgress });
      await expect(stopped).rejects.toThrow("stopped");
      await scoreModel({ ...inputs(), scorer, options: { tokens: 16 } });
    }
    expect(tf.memory().numTensors).toBe(before);
  });

  it("shares one walk: every matrix is read once for three scorers", async () => {
    const given = inputs();
    await scoreModels({ ...given, codecs: [] }, [{ scorer: "lsaq" }, { scorer: "cosine" }, { scorer: "output-mse" }]);
    const reads = given.source.reads.filter((id) => id.startsWith("blocks."));
    expect(reads.length).toBe(new Set(reads).size);
  });

  it("refuses an empty calibration set", async () => {
    const empty = calibrationFromSequences([]);
    await expect(scoreModel({ ...inputs(), calibration: empty, scorer: "cosine" })).rejects.toThrow(
      "at least one token",
    );
  });

  it("knows its scorers by name", () => {
    expect(SCORER_IDS).toEqual(["lsaq", "cosine", "output-mse", "kl"]);
    expect(isScorerId("toString")).toBe(false);
  });
});

describe("lsaq", () => {
  it("breaks ties by cosine distance", async () => {
    // With k = vocabulary all sets are equal: only the tie-break is left.
    const options = { k: 96 };
    const [lsaq, cosine] = await scoreModels(inputs(), [{ scorer: "lsaq", options }, { scorer: "cosine" }]);
    const order = (values: readonly number[] | null) =>
      [...(values ?? []).keys()].sort((a, b) => (values?.[a] ?? 0) - (values?.[b] ?? 0));
    expect(Math.max(...(lsaq.importance ?? []))).toBeLessThan(1e-8);
    expect(order(lsaq.importance)).toEqual(order(cosine.importance));
    await expect(scoreModel({ ...inputs(), scorer: "lsaq", options: { k: 97 } })).rejects.toThrow(
      "at most 96, found 97",
    );
  });
});

describe("kl", () => {
  const score = (given: Parameters<typeof scoreModel>[0]) => scoreModel(given);

  it("measures embedding and head as units, one when tied", async () => {
    const untied = await score({ ...inputs(), scorer: "kl", embeddingCodecs: ["4bit"] });
    expect(Object.keys(untied.losses ?? {})).toEqual([
      "embedding",
      "blocks.0",
      "blocks.1",
      "blocks.2",
      "blocks.3",
      "head",
    ]);
    expect(Object.keys(untied.losses?.head ?? {})).toEqual(["4bit"]);
    expect(untied.losses?.head["4bit"]).toBeGreaterThan(0);
    const tied = await score({ ...inputs({ tied: true }), scorer: "kl" });
    expect(Object.keys(tied.losses ?? {})).not.toContain("head");
    expect(tied.losses?.embedding["2bit"]).toBeGreaterThan(tied.losses?.embedding["4bit"] ?? 0);
  });

  it("does not depend on how variants are grouped or logits chunked", async () => {
    const whole = (await together())[3];
    const split = await score({
      ...inputs(),
      scorer: "kl",
      options: { maxVariantBytes: 1, maxLogitBytes: 96 * 4 * 7 },
    });
    for (const [unit, byCodec] of Object.entries(whole.losses ?? {})) {
      for (const [codec, loss] of Object.entries(byCodec)) expect(split.losses?.[unit][codec]).toBeCloseTo(loss, 6);
    }
  });

  it("goes on from saved losses and ends with the same scores", async () => {
    const partial: Losses[] = [];
    const options = { maxVariantBytes: 3 * 80 * 32 * 4 };
    const full = await score({ ...inputs(), scorer: "kl", options, kept: keptIn(partial) });
    expect(partial.length).toBe(4);
    expect(await score({ ...inputs(), scorer: "kl", options, kept: keptIn([], partial[1]) })).toEqual(full);
    const given = inputs();
    expect(await score({ ...given, scorer: "kl", options, kept: keptIn([], partial[3]) })).toEqual(full);
    expect(given.source.reads.filter((id) => id.startsWith("blocks."))).toEqual([]);
  });
});
