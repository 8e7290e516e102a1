import { beforeAll, describe, expect, it } from "vitest";
import { readOutputVectors } from "../../../src/model/output-vectors.ts";
import { ensureGradients, openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { f16ToF32, f32ToF16 } from "../../../src/tensor/half.ts";
import { Random } from "../../../src/tensor/random.ts";
import {
  headGradients,
  headLogits,
  headLoss,
  loadSharedHead,
  teacherProbabilities,
} from "../../../src/training/exits/head-graph.ts";
import {
  type HeadKind,
  type HeadParameters,
  quietLens,
  startHead,
  storedHead,
} from "../../../src/training/exits/head-parameters.ts";
import { teacherOf } from "../../../src/training/exits/teacher.ts";
import { gatherHeadRows } from "../../../src/training/exits/vocabulary.ts";
import { randomSource, type Shape, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf } from "../../runtime/test-executors.ts";

const ROWS = 9;
const RMS: Shape = { norm: "rms" };
const LAYER: Shape = { norm: "layer", headBias: true, tied: true };

beforeAll(async () => {
  await openBackend();
  await ensureGradients();
});

/** A model, random states of one of its exits and of its last block, and a head that has learned nothing. */
async function setUp(shape: Shape, kind: HeadKind, ids: Int32Array | null) {
  const source = randomSource(smallSpec(shape));
  const random = new Random(7);
  const states = () => Float32Array.from({ length: ROWS * 16 }, () => random.nextNormal());
  const rows = await gatherHeadRows(source, ids);
  const start = { kind, rank: 3, rows, norm: (await readOutputVectors(source)).norm };
  const executor = await executorsOf("tfjs", "resident")(source);
  const shared = loadSharedHead(source.spec.finalNorm, start);
  return { source, executor, shared, random, exit: states(), last: states(), head: startHead(start, random) };
}

/** The same head with all learned numbers moved at random. */
function moved(head: HeadParameters, random: Random): HeadParameters {
  const move = (values: Float32Array) => values.map((value) => value + 0.3 * random.nextNormal());
  return head.map((one) => (one.learned ? { ...one, values: move(one.values) } : one));
}

describe("startHead", () => {
  it.each<[string, Shape, HeadKind, Int32Array | null]>([
    ["adapter on some ids", RMS, "adapter", Int32Array.of(1, 5, 6, 30)],
    ["adapter on all ids", LAYER, "adapter", null],
    ["linear on some ids", LAYER, "linear", Int32Array.of(0, 36)],
  ])("is the logit lens: %s", async (_, shape, kind, ids) => {
    const { executor, shared, exit, head } = await setUp(shape, kind, ids);
    const lens = await executor.logits(executor.write(exit, ROWS));
    const found = headLogits(shared, head, { rows: ROWS, hidden: exit });
    const width = ids ? ids.length + 1 : 37;
    expect(found.shape).toEqual([ROWS, width]);
    const logits = found.dataSync();
    for (let row = 0; row < ROWS; row++) {
      for (const [i, id] of (ids ?? Int32Array.from({ length: 37 }, (_, at) => at)).entries()) {
        expect(logits[row * width + i]).toBeCloseTo(lens[row * 37 + id], 5);
      }
    }
  });

  it("stores adapters as f16 and leaves norm and tail as they are", () => {
    const rows = { matrix: new Float32Array(32), bias: null, tail: { weight: new Float32Array(16), bias: 0.1 } };
    const start = {
      kind: "adapter",
      rank: 2,
      rows,
      norm: { weight: new Float32Array(16).fill(1.1), bias: null },
    } as const;
    const head = startHead(start, new Random(3));
    for (const { name, values, dtype } of storedHead(head)) {
      const before = head.find((one) => one.name === name)?.values ?? [];
      const wanted = dtype === "F16" ? Float32Array.from(before, (value) => f16ToF32(f32ToF16(value))) : before;
      expect(values).toEqual(wanted);
      expect(dtype).toBe(name === "down" || name === "up" ? "F16" : "F32");
    }
  });
});

describe("quietLens", () => {
  it("says a tenth of what the lens says, of the same rows", async () => {
    const { shared, exit, head } = await setUp(LAYER, "adapter", null);
    const batch = { rows: ROWS, hidden: exit };
    // Without the output head's bias, which is not the lens's to scale.
    const bare = { ...shared, bias: null };
    const [lens, quiet] = [head, quietLens(head)].map((one) => headLogits(bare, one, batch).dataSync());
    for (const [i, value] of lens.entries()) expect(quiet[i]).toBeCloseTo(value / 10, 5);
    const adapted = head.map((one) => (one.name === "up" ? { ...one, values: one.values.map(() => 0.1) } : one));
    const [loud, low] = [adapted, quietLens(adapted)].map((one) => headLogits(bare, one, batch).dataSync());
    for (const [i, value] of lens.entries()) expect(low[i] - quiet[i]).toBeCloseTo(loud[i] - value, 4);
  });

  it("leaves a linear head as it is", async () => {
    const { head } = await setUp(RMS, "linear", null);
    expect(quietLens(head)).toEqual(head);
  });
});

describe("teacherProbabilities", () => {
  it.each([[Int32Array.of(2, 3, 20)], [null]])(
    "is the model's softmax on the ids, and what is left: %s",
    async (ids) => {
      const { executor, shared, last } = await setUp(LAYER, "adapter", ids);
      const state = executor.write(last, ROWS);
      const { logSumExp } = await teacherOf(executor, state, ROWS);
      const all = await executor.logits(state);
      const found = teacherProbabilities(shared, { rows: ROWS, hidden: last }, logSumExp).arraySync();
      for (let row = 0; row < ROWS; row++) {
        const exponentials = all.subarray(row * 37, (row + 1) * 37).map(Math.exp);
        const sum = exponentials.reduce((total, value) => total + value, 0);
        const wanted = [...(ids ?? exponentials.keys())].map((id) => exponentials[id] / sum);
        if (ids) wanted.push(1 - wanted.reduce((total, value) => total + value, 0));
        for (const [i, share] of wanted.entries()) expect(found[row][i]).toBeCloseTo(share, 5);
        expect(found[row].length).toBe(wanted.length);
      }
    },
  );
});

describe("headGradients", () => {
  it("has no loss and no slope where the head says what the teacher says", async () => {
    const { executor, shared, head, last } = await setUp(RMS, "adapter", null);
    const batch = { rows: ROWS, hidden: last };
    const { logSumExp } = await teacherOf(executor, executor.write(last, ROWS), ROWS);
    const { loss, gradients } = headGradients(shared, head, batch, teacherProbabilities(shared, batch, logSumExp));
    expect(Math.abs(loss)).toBeLessThan(1e-5);
    for (const slopes of gradients) for (const slope of slopes) expect(Math.abs(slope)).toBeLessThan(1e-5);
  });

  it.each<[string, Shape, HeadKind, Int32Array | null]>([
    ["adapter, tail", RMS, "adapter", Int32Array.of(1, 5, 6, 30)],
    ["adapter, layer norm, all ids", LAYER, "adapter", null],
    ["linear, tail", LAYER, "linear", Int32Array.of(0, 7, 36)],
  ])("are the slopes that finite differences show: %s", async (_, shape, kind, ids) => {
    const { executor, shared, random, exit, last, head: start } = await setUp(shape, kind, ids);
    const head = moved(start, random);
    const batch = { rows: ROWS, hidden: exit };
    const { logSumExp } = await teacherOf(executor, executor.write(last, ROWS), ROWS);
    const teacher = teacherProbabilities(shared, { rows: ROWS, hidden: last }, logSumExp);
    const { loss, gradients } = headGradients(shared, head, batch, teacher);
    expect(headLoss(shared, head, batch, teacher)).toBeCloseTo(loss, 5);
    const learned = head.filter((one) => one.learned);
    expect(gradients.map(({ length }) => length)).toEqual(learned.map(({ values }) => values.length));
    for (const [i, { name, values }] of learned.entries()) {
      // Along its own gradient, where the slope is largest against the rounding of f32.
      const length = Math.hypot(...gradients[i]);
      expect(length).toBeGreaterThan(1e-3);
      const step = 0.01;
      const at = (distance: number) => {
        const there = values.map((value, j) => value + (distance * gradients[i][j]) / length);
        const parameters = head.map((one) => (one.name === name ? { ...one, values: there } : one));
        return headLoss(shared, parameters, batch, teacher);
      };
      expect((at(step) - at(-step)) / (2 * step) / length).toBeCloseTo(1, 1);
    }
  });
});
