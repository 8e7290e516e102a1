import { expect, it } from "vitest";
import { type DenseMatrix, denseMatrix, type Matrix } from "../../src/model/weight-source.ts";
import { emptyAnswers } from "../../src/runtime/head-answers.ts";
import type { ExitHead } from "../../src/runtime/heads.ts";
import { Random } from "../../src/tensor/random.ts";
import { matMul, rmsNorm, silu } from "../references/ops.ts";
import { expectAnswers } from "./answer-bounds.ts";
import { maxDifference } from "./compare.ts";
import { tokens, type WithExecutor } from "./executor-cases.ts";
import { packedSource, packRounded, randomSource, smallSpec } from "./random-model.ts";

const HIDDEN = 16;
const IDS = 21;
const RANK = 3;

function normals(length: number, name: string, scale = 1): Float32Array {
  const random = new Random(9).fork(name);
  return Float32Array.from({ length }, () => scale * random.nextNormal());
}

const dense = (rows: number, cols: number, name: string, scale = 1): DenseMatrix => ({
  ...{ kind: "dense", rows, cols },
  data: normals(rows * cols, name, scale),
});

/** An exit head with all that one may have; `store` is how its matrices are kept. */
function fullHead(store: (matrix: DenseMatrix) => Matrix = (matrix) => matrix): ExitHead {
  return {
    norm: { spec: { kind: "rms", size: HIDDEN, eps: 1e-5 }, weight: normals(HIDDEN, "norm"), bias: null },
    adapter: {
      rank: RANK,
      down: store(dense(RANK, HIDDEN, "down")),
      up: store(dense(HIDDEN, RANK, "up")),
    },
    matrix: store(dense(IDS, HIDDEN, "head")),
    bias: normals(IDS, "bias"),
    tail: { weight: normals(HIDDEN, "tail"), bias: 0.75 },
  };
}

/** Logits [rows, ids + 1] of a head by the plain maths. */
function plainLogits({ adapter, matrix, bias, tail }: ExitHead, normed: Float32Array): Float32Array {
  const rows = normed.length / HIDDEN;
  const input = normed.slice();
  if (adapter) {
    const low = matMul(normed, denseMatrix(adapter.down).data, rows, HIDDEN).map(silu);
    matMul(low, denseMatrix(adapter.up).data, rows, RANK).forEach((value, i) => {
      input[i] += value;
    });
  }
  const logits = matMul(input, denseMatrix(matrix).data, rows, HIDDEN);
  const last = tail ? matMul(input, tail.weight, rows, HIDDEN) : new Float32Array();
  const width = IDS + (tail ? 1 : 0);
  return Float32Array.from({ length: rows * width }, (_, i) => {
    const [row, id] = [Math.floor(i / width), i % width];
    if (id === IDS) return last[row] + (tail?.bias ?? 0);
    return logits[row * IDS + id] + (bias ? bias[id] : 0);
  });
}

/** Adapters and tails of exit heads, and answers. */
export function answerCases(withExecutor: WithExecutor): void {
  it("multiplies with an exit head's adapter and gives its tail last", async () => {
    const x = normals(7 * HIDDEN, "hidden");
    const full = fullHead();
    const normed = rmsNorm(x, normals(HIDDEN, "norm"), 1e-5);
    const heads: ExitHead[] = [
      full,
      fullHead((matrix) => packRounded(matrix, "f16")),
      fullHead((matrix) => packRounded(matrix, "q8s-g32")),
      { ...full, tail: null },
      { ...full, adapter: null, bias: null },
      { ...full, norm: null, matrix: packRounded(dense(IDS, HIDDEN, "head"), "q4s-g32") },
    ];
    await withExecutor(randomSource(smallSpec()), { residency: "resident" }, async (executor) => {
      const hidden = executor.write(x, 7);
      for (const head of heads) {
        await executor.loadHead("exit", head);
        const found = await executor.logits(hidden, undefined, { head: "exit" });
        expect(maxDifference(found, plainLogits(head, head.norm ? normed : x))).toBeLessThan(2e-4);
        // Without the norm the rows are taken as normed ones: the adapter is still there.
        const bare = await executor.logits(hidden, Int32Array.of(6), { head: "exit", norm: false });
        expect(maxDifference(bare, plainLogits(head, x.slice(6 * HIDDEN)))).toBeLessThan(2e-4);
      }
      executor.release(hidden);
    });
  });

  it("answers with what the logits say, of any head and rows, by itself and behind a pass", async () => {
    const packed = await packedSource(randomSource(smallSpec({ headBias: true })), "q8s-g32");
    const plain = randomSource(smallSpec());
    for (const [source, residency] of [
      [packed, "packed"],
      [plain, "resident"],
      [plain, "streamed"],
    ] as const) {
      await withExecutor(source, { residency }, async (executor) => {
        await executor.loadHead("exit", fullHead());
        const ids = Int32Array.from(tokens(9));
        const span = { cache: null, position: 0, count: 9 };
        const embedded = await executor.embed(ids);
        for (const head of ["output", "exit"]) {
          const rows = Int32Array.of(8, 0, 3, 3);
          const into = emptyAnswers(5);
          const logits = new Float32Array(4 * source.spec.vocabSize);
          const options = { answers: { head, rows, into }, logits: { rows, into: logits } };
          const hidden = await executor.runBlocks(embedded, 0, source.spec.blocks.length, [span], options);
          expect(logits).toEqual(await executor.logits(hidden, rows));
          const expected = await executor.logits(hidden, rows, { head });
          expectAnswers(into, expected, expected.length / 4);
          const alone = await executor.answers(hidden, rows, { head });
          expect(alone).toEqual({
            ...{ best: into.best.slice(0, 4), entropy: into.entropy.slice(0, 4) },
            ...{ maxProbability: into.maxProbability.slice(0, 4), margin: into.margin.slice(0, 4) },
          });
          // No block at all: of the rows as they are.
          const none = emptyAnswers(4);
          const same = await executor.runBlocks(hidden, 0, 0, [span], { answers: { head, rows, into: none } });
          expect(none).toEqual(alone);
          expect((await executor.answers(hidden, new Int32Array(), { head })).best).toHaveLength(0);
          for (const state of [hidden, same]) executor.release(state);
        }
        executor.release(embedded);
      });
    }
  });

  it("names the tail and the lowest of equal logits, and refuses what is no number", async () => {
    const ones: DenseMatrix = { kind: "dense", rows: IDS, cols: HIDDEN, data: new Float32Array(IDS * HIDDEN).fill(1) };
    const bare = { norm: null, adapter: null, matrix: ones, bias: null };
    const tailOf = (bias: number) => ({ weight: new Float32Array(HIDDEN).fill(1), bias });
    await withExecutor(randomSource(smallSpec()), { residency: "resident" }, async (executor) => {
      const hidden = executor.write(new Float32Array(2 * HIDDEN).fill(0.5), 2);
      const best = async (bias: number) => {
        await executor.loadHead("exit", { ...bare, tail: tailOf(bias) });
        return (await executor.answers(hidden, Int32Array.of(1), { head: "exit" })).best[0];
      };
      expect([await best(1), await best(0), await best(-1)]).toEqual([IDS, 0, 0]);
      const rows = Int32Array.of(0);
      await expect(executor.answers(hidden, rows, { head: "none" })).rejects.toThrow("no head none is loaded");
      const short = { head: "exit", into: emptyAnswers(0) };
      await expect(executor.answers(hidden, rows, short)).rejects.toThrow("expected room for 1 rows, found 0");
      const broken = executor.write(new Float32Array(2 * HIDDEN).fill(Number.NaN, HIDDEN), 2);
      const said = executor.answers(broken, Int32Array.of(0, 1), { head: "exit" });
      await expect(said).rejects.toThrow("logits of row 1: expected finite numbers");
      for (const state of [hidden, broken]) executor.release(state);
    });
  });

  it("refuses adapters and tails that do not fit", async () => {
    await withExecutor(randomSource(smallSpec()), {}, async (executor) => {
      const head = fullHead();
      if (!head.adapter || !head.tail) throw new Error("a full head has all parts");
      const { adapter, tail } = head;
      const load = (change: Partial<ExitHead>) => executor.loadHead("x", { ...head, ...change });
      const down = dense(RANK, HIDDEN - 1, "down");
      await expect(load({ adapter: { ...adapter, down } })).rejects.toThrow("down: expected 3 x 16, found 3 x 15");
      await expect(load({ adapter: { ...adapter, up: adapter.down } })).rejects.toThrow("up: expected 16 x 3");
      await expect(load({ adapter: { ...adapter, rank: 0 } })).rejects.toThrow("a rank from 1 up, found 0");
      await expect(load({ adapter: { ...adapter, rank: 2 } })).rejects.toThrow("down: expected 2 x 16");
      const short = { ...adapter.up, data: new Float32Array(3) };
      await expect(load({ adapter: { ...adapter, up: { ...short, kind: "dense" } } })).rejects.toThrow(
        "up: expected 48 numbers, found 3",
      );
      await expect(load({ tail: { ...tail, weight: new Float32Array(15) } })).rejects.toThrow(
        "tail weight: expected 16",
      );
      await expect(load({ tail: { ...tail, bias: Number.NaN } })).rejects.toThrow("tail: expected a finite bias");
    });
  });
}
