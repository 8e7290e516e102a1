import { describe, expect, it } from "vitest";
import type { Matrix, WeightSource } from "../../../src/model/weight-source.ts";
import { openEngine } from "../../../src/native/load.ts";
import { emptyAnswers } from "../../../src/runtime/head-answers.ts";
import { openOutput, type StreamedHeadLimits } from "../../../src/runtime/native/output-head.ts";
import { WeightLoader } from "../../../src/runtime/native/weights.ts";
import { expectAnswers } from "../answer-bounds.ts";
import { randomSource, smallSpec } from "../random-model.ts";
import { HAS_ADDON, needsAddon } from "./addon-state.ts";

const IDS = 83;
const HIDDEN = 24;
/** One tile of 16 rows: six make the head. */
const TILE_BYTES = 4 * HIDDEN * 16;

/**
 * A model whose head holds bf16 numbers, but from row `exactFrom` on any f32; `reads` has the rows that were asked for.
 */
function headSource(exactFrom: number): { source: WeightSource; reads: number[] } {
  const source = randomSource(smallSpec({ vocabSize: IDS, hiddenSize: HIDDEN, headBias: true }));
  const reads: number[] = [];
  const rounded = (matrix: Matrix, first: number): Matrix => {
    if (matrix.kind !== "dense") throw new Error("expected a dense head");
    const bits = new Uint32Array(matrix.data.slice().buffer);
    for (let i = 0; i < bits.length; i++) if (first * HIDDEN + i < exactFrom * HIDDEN) bits[i] &= 0xffff0000;
    return { ...matrix, data: new Float32Array(bits.buffer) };
  };
  const readMatrix = async (id: string) => {
    const matrix = await source.readMatrix(id);
    return id === "head" ? rounded(matrix, 0) : matrix;
  };
  const readRows = async (id: string, from: number, to: number) => {
    reads.push(from);
    const matrix = await readMatrix(id);
    if (matrix.kind !== "dense") throw new Error("expected a dense head");
    return matrix.data.slice(from * HIDDEN, to * HIDDEN);
  };
  return { source: { ...source, readMatrix, readRows }, reads };
}

/** Logits of two rows, asked for twice; where `answered`, answers are asked for too and must be theirs. */
async function logitsTwice(
  source: WeightSource,
  residency: "streamed" | "resident",
  limits?: StreamedHeadLimits,
  answered = false,
): Promise<Float32Array[]> {
  const engine = openEngine({ threads: 2 });
  try {
    const model = engine.createModel({ vocabSize: IDS, hiddenSize: HIDDEN, blocks: [] });
    const context = engine.createContext({ activations: "f32" });
    const { head } = await openOutput(source, new WeightLoader(source, engine.offline), model, residency, limits);
    const input = Float32Array.from({ length: 3 * HIDDEN }, (_, i) => Math.sin(i));
    const call = { input, rows: Int32Array.of(2, 0), head: "output", norm: true };
    const outputs: Float32Array[] = [];
    for (let i = 0; i < 2; i++) {
      const output = new Float32Array(2 * IDS);
      await head.logits(context, model, { ...call, output });
      outputs.push(output);
    }
    if (answered) {
      const answers = emptyAnswers(2);
      await head.answers(context, model, { ...call, ...answers });
      expectAnswers(answers, outputs[0], IDS);
    }
    context.dispose();
    model.dispose();
    return outputs;
  } finally {
    engine.dispose();
  }
}

describe.skipIf(!HAS_ADDON)(needsAddon("a streamed output head"), () => {
  const whole = { tileBytes: TILE_BYTES, keptBytes: 4 * IDS * HIDDEN };
  const tiled = { tileBytes: TILE_BYTES, keptBytes: 2 * TILE_BYTES };

  it.each([
    { name: "kept whole", exactFrom: IDS, limits: whole, reads: 6 },
    { name: "of f32 numbers, kept whole", exactFrom: 0, limits: whole, reads: 6 },
    // The whole is given up at the third tile.
    { name: "of tiles of two kinds", exactFrom: 32, limits: whole, reads: 3 + 6 },
    // The fourth and the fifth tile are not kept beside three in bf16.
    { name: "larger than what is kept", exactFrom: IDS, limits: tiled, reads: 6 + 2 },
  ])("$name gives a resident one's bits", async ({ exactFrom, limits, reads }) => {
    const { source, reads: seen } = headSource(exactFrom);
    const expected = await logitsTwice(source, "resident");
    expect(await logitsTwice(source, "streamed", limits)).toEqual(expected);
    expect(seen).toHaveLength(reads);
  });

  it.each([whole, tiled])("answers as its logits do, %o", async (limits) => {
    expect(await logitsTwice(headSource(IDS).source, "streamed", limits, true)).toHaveLength(2);
  });
});
