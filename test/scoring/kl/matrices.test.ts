import { describe, expect, it } from "vitest";
import { calibrationFromSequences } from "../../../src/calibration/sequences.ts";
import { matricesOf } from "../../../src/model/decoder-spec.ts";
import { denseMatrix } from "../../../src/model/weight-source.ts";
import { rowsOf } from "../../../src/passes/rows.ts";
import type { Progress } from "../../../src/progress.ts";
import { quantizedOverlay } from "../../../src/quantization/overlay.ts";
import type { ExecutorFactory } from "../../../src/runtime/executor.ts";
import { createTfjsExecutor } from "../../../src/runtime/tfjs/executor.ts";
import { compareOutputs } from "../../../src/scoring/kl/compare.ts";
import { probeCodecs } from "../../../src/scoring/kl/matrices.ts";
import { roundedMatrices } from "../../../src/scoring/rounded-source.ts";
import { scoreModel } from "../../../src/scoring/score-model.ts";
import { type Losses, Scores } from "../../../src/scoring/scores.ts";
import { keptIn } from "../kept-losses.ts";
import { fixtureRounding } from "../reference.ts";
import { randomSequences, randomSource, tinySpec } from "../tiny-model.ts";

const createExecutor: ExecutorFactory = (source) => createTfjsExecutor(source, { residency: "streamed" });
const sequences = randomSequences(3, 12, 96, 1);
const calibration = calibrationFromSequences(sequences);
const CODECS = ["8bit", "4bit", "3bit", "2bit"];

const roundAll = (codec: string) => {
  const rounding = fixtureRounding(codec);
  return (_id: string, matrix: Parameters<typeof rounding>[1]) => rounding("blocks.", matrix);
};

function inputs({ tied = false } = {}) {
  const source = randomSource(tinySpec(2, tied), 5);
  const shared = { checkpointId: "c", calibration, createExecutor, matrices: roundedMatrices(source, roundAll) };
  return { source, codecs: CODECS, embeddingCodecs: ["8bit", "4bit"], ...shared };
}

const score = (options: Record<string, unknown> = {}, more: Partial<Parameters<typeof scoreModel>[0]> = {}) =>
  scoreModel({ ...inputs(), scorer: "kl", options: { unit: "matrix", fitPairs: 5, ...options }, ...more });

/** KL of the whole model with one matrix rounded, by two plain passes. */
async function lossOf(id: string, codec: string): Promise<number> {
  const { source } = inputs();
  const rounding = roundAll(codec);
  const changed = quantizedOverlay(source, (name, matrix) => (name === id ? rounding(name, matrix) : null));
  const rows = rowsOf(calibration.sequences);
  const outputs = [];
  for (const weights of [source, changed]) {
    const executor = await createExecutor(weights);
    const embedded = await executor.embed(rows.ids);
    outputs.push({ executor, hidden: await executor.runBlocks(embedded, 0, 2, rows.spans) });
  }
  const [loss] = await compareOutputs(outputs[0], [outputs[1]], rows.ids.length, { logitBytes: 1e6 });
  for (const { executor, hidden } of outputs) {
    executor.release(hidden);
    await executor.dispose();
  }
  return loss;
}

describe("kl by matrix", () => {
  it("gives every matrix a loss at every codec, measured at two, predicted from these at the others", async () => {
    const scores = await score();
    expect(Scores.parse(JSON.parse(JSON.stringify(scores)))).toEqual(scores);
    const ids = matricesOf(inputs().source.spec).map(({ id }) => id);
    expect(Object.keys(scores.losses ?? {})).toEqual(ids);
    for (const id of ids.filter((unit) => unit.startsWith("blocks."))) {
      expect(Object.keys(scores.losses?.[id] ?? {})).toEqual(CODECS);
      const figures = scores.details?.[id] ?? {};
      const ratio = (codec: string) => figures[codec].measured / figures[codec].error;
      const alpha = Math.sqrt(ratio("3bit") * ratio("2bit"));
      expect(figures["8bit"].predicted).toBeCloseTo(alpha * figures["8bit"].error, 12);
      expect(scores.losses?.[id]["8bit"]).toBe(figures["8bit"].measured ?? figures["8bit"].predicted);
      expect(scores.losses?.[id]["2bit"]).toBe(figures["2bit"].measured);
    }
    expect(scores.fit?.pairs).toBe(5);
    expect(scores.options).toMatchObject({
      unit: "matrix",
      probes: ["3bit", "2bit"],
      embeddingProbes: ["8bit", "4bit"],
    });
    const judged = Object.values(scores.details ?? {}).flatMap((byCodec) =>
      Object.values(byCodec).filter((figures) => figures.measured !== undefined),
    );
    expect(judged).toHaveLength(2 * ids.length + 5);
  });

  it("measures a matrix, the head and the embedding as a whole pass does", async () => {
    const scores = await score({ probes: ["4bit"], fitPairs: 0 });
    for (const id of ["blocks.0.attn.k", "blocks.1.mlp.down", "head", "embedding"]) {
      const found = scores.losses?.[id]["4bit"] ?? 0;
      expect(found).toBeGreaterThan(0);
      expect(Math.abs(found / (await lossOf(id, "4bit")) - 1)).toBeLessThan(1e-3);
    }
  });

  it("probes every n-th matrix of a role and takes the others' alpha from those on either side", async () => {
    const source = randomSource(tinySpec(6), 5);
    const matrices = roundedMatrices(source, roundAll);
    const options = { probes: ["3bit"], embeddingProbes: ["4bit"], probeEvery: 4, fitPairs: 0 };
    const scores = await score(options, { source, matrices });
    const details = scores.details ?? {};
    const alphaOf = (block: number) => {
      const { measured, error } = details[`blocks.${block}.mlp.down`]["3bit"];
      return measured / error;
    };
    const measured = Object.keys(details).filter((id) => details[id]["3bit"]?.measured !== undefined);
    expect(measured.filter((id) => id.endsWith("mlp.down"))).toEqual([0, 1, 4, 5].map((i) => `blocks.${i}.mlp.down`));
    const { error, predicted } = details["blocks.2.mlp.down"]["4bit"];
    expect(predicted / error).toBeCloseTo(alphaOf(1) ** (2 / 3) * alphaOf(4) ** (1 / 3), 12);
    expect(scores.losses?.["blocks.2.mlp.down"]["4bit"]).toBe(predicted);
    expect(scores.losses?.["blocks.4.mlp.down"]["3bit"]).toBe(details["blocks.4.mlp.down"]["3bit"].measured);
    expect(scores.options).toMatchObject({ probeEvery: 4 });
  });

  it("measures everything where that is asked for, and tied embedding and head as one", async () => {
    const scores = await score({ exhaustive: true }, inputs({ tied: true }));
    const all = Object.values(scores.details ?? {}).flatMap((byCodec) => Object.values(byCodec));
    expect(all.every((figures) => figures.measured !== undefined && figures.predicted === undefined)).toBe(true);
    expect(Object.keys(scores.losses ?? {})).not.toContain("head");
    expect(scores.fit).toBeUndefined();
  });

  it("goes on from what was saved and ends with the same scores, in any grouping", async () => {
    const partial: Losses[] = [];
    const full = await score({ maxVariants: 4 }, { kept: keptIn(partial) });
    expect(partial.length).toBeGreaterThan(5);
    expect(await score({ maxVariants: 4 }, { kept: keptIn([], partial[3]) })).toEqual(full);
    const whole = await score({ maxVariants: 64 });
    for (const [unit, byCodec] of Object.entries(full.losses ?? {})) {
      for (const [codec, loss] of Object.entries(byCodec)) expect(whole.losses?.[unit][codec]).toBeCloseTo(loss, 6);
    }
  });

  it("takes matrices and errors from where it is told to", async () => {
    const { source } = inputs();
    const asked: string[] = [];
    const at = async (id: string, codec: string) => {
      asked.push(`${id} ${codec}`);
      const matrix = denseMatrix(await source.readMatrix(id));
      return { ...matrix, data: matrix.data.map((value) => value * (codec === "3bit" ? 0.9 : 0.8)) };
    };
    const errorOf = async (id: string, codec: string) => (id === "embedding" ? null : Number.parseInt(codec, 10));
    const probes = { probes: ["3bit", "2bit"], embeddingProbes: ["4bit"], fitPairs: 0 };
    const scores = await score(probes, { matrices: { at, errorOf } });
    const figures = scores.details?.["blocks.1.attn.o"] ?? {};
    const alpha = Math.sqrt((figures["3bit"].measured / 3) * (figures["2bit"].measured / 2));
    expect(figures["8bit"].predicted).toBeCloseTo(8 * alpha, 12);
    expect(asked).toContain("blocks.1.attn.o 3bit");
    // The embedding's error is unknown, so its weights are compared.
    expect(asked.filter((name) => name.endsWith("8bit"))).toEqual(["embedding 8bit"]);
    const embedding = scores.details?.embedding ?? {};
    expect(embedding["8bit"].error).toBeCloseTo(embedding["4bit"].error, 9);
  });

  it("measures KV types: f32 is what there is without a cache, q8 costs something", async () => {
    const { losses } = await score({ kv: ["q8", "f32"], fitPairs: 0 });
    expect(losses?.kv.f32).toBeLessThan(1e-9);
    expect(losses?.kv.q8).toBeGreaterThan(losses?.kv.f32 ?? 0);
  });

  it("says first how long it will take, and reports up to the end", async () => {
    const reports: Progress[] = [];
    await score({ fitPairs: 0 }, { onProgress: (progress) => reports.push(progress) });
    const notes = reports.filter(({ note }) => note !== undefined);
    expect(notes.map(({ note }) => note)).toEqual([
      expect.stringMatching(/^estimated .+ for 32 variants: \d+ blocks of/),
    ]);
    const own = reports.filter(({ stage }) => stage === "scoring kl");
    expect(own.indexOf(notes[0])).toBe(2);
    expect(own.at(-1)?.done).toBe(own.at(-1)?.total);
  });
});

describe("probeCodecs", () => {
  it.each([
    [
      ["q8s-g32", "q5s-g32", "q4a-g64", "q4s-g32", "q3s-g32", "q2s-g32"],
      ["q3s-g32", "q4a-g64"],
    ],
    [
      ["bf16", "q8s-g32", "q6s-g32"],
      ["q6s-g32", "q8s-g32"],
    ],
    [["q8s-g32"], ["q8s-g32"]],
    [
      ["a", "b", "c"],
      ["b", "c"],
    ],
  ])("of %j takes %j", (codecs, probes) => {
    expect(probeCodecs(codecs)).toEqual(probes);
  });
});
