import { describe, expect, it } from "vitest";
import { type DenseMatrix, denseMatrix } from "../../../src/model/weight-source.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import type { HeadAnswers } from "../../../src/runtime/head-answers.ts";
import type { ExitHead } from "../../../src/runtime/heads.ts";
import { createNativeExecutor, type NativeOptions } from "../../../src/runtime/native/executor.ts";
import { Random } from "../../../src/tensor/random.ts";
import { ISAS } from "../../native/engines.ts";
import { expectAnswers } from "../answer-bounds.ts";
import { answerCases } from "../answer-cases.ts";
import type { WithExecutor } from "../executor-cases.ts";
import { packRounded, randomSource, smallSpec } from "../random-model.ts";
import { HAS_ADDON, needsAddon } from "./addon-state.ts";

/** Runs `work` with an executor that computes in f32 and checks that no hidden state is left behind. */
const withExecutor: WithExecutor = async (source, options, work) => {
  await using executor = await createNativeExecutor(source, { activations: "f32", ...options });
  const result = await work(executor);
  expect(executor.liveHidden).toBe(0);
  return result;
};

const HIDDEN = 16;
const ROWS = 37;

function normals(length: number, name: string): Float32Array {
  const random = new Random(4).fork(name);
  return Float32Array.from({ length }, () => random.nextNormal());
}

/** Ids of which 32 rows' logits fit the engine's scratch. */
const MANY = 60_000;

/**
 * A head over so many ids, of a few random numbers: many ids cost little to make. They stay dense, which is quick too.
 */
function headOver(ids: number, rank: number): ExitHead {
  const dense = (rows: number, cols: number, name: string): DenseMatrix => ({
    ...{ kind: "dense", rows, cols },
    data: normals(rows * cols, name),
  });
  const some = normals(1009, "ids");
  const data = new Float32Array(ids * HIDDEN);
  for (let i = 0; i < data.length; i++) data[i] = some[(i * 31 + (i >> 9)) % 1009];
  const matrix: DenseMatrix = { kind: "dense", rows: ids, cols: HIDDEN, data };
  return {
    norm: { spec: { kind: "rms", size: HIDDEN, eps: 1e-5 }, weight: normals(HIDDEN, "norm"), bias: null },
    adapter: {
      rank,
      down: packRounded(dense(rank, HIDDEN, "down"), "f16"),
      up: packRounded(dense(HIDDEN, rank, "up"), "f16"),
    },
    matrix: ids === MANY ? matrix : packRounded(matrix, "q8s-g32"),
    bias: null,
    tail: { weight: normals(HIDDEN, "tail"), bias: 0.5 },
  };
}

const bitsOf = ({ best, entropy, maxProbability, margin }: HeadAnswers): Uint8Array[] =>
  [best, entropy, maxProbability, margin].map((x) => new Uint8Array(x.buffer));

/** Answers to all rows in one call, or to each by itself. */
async function answersTo(executor: AnyExecutor, together: boolean): Promise<HeadAnswers[]> {
  const hidden = executor.write(normals(ROWS * HIDDEN, "hidden"), ROWS);
  const all = Int32Array.from({ length: ROWS }, (_, row) => row);
  const calls = together ? [all] : [...all].map((row) => Int32Array.of(row));
  const answers: HeadAnswers[] = [];
  for (const rows of calls) answers.push(await executor.answers(hidden, rows, { head: "exit" }));
  executor.release(hidden);
  return answers;
}

describe.skipIf(!HAS_ADDON)(needsAddon("answers of the native executor"), () => {
  answerCases(withExecutor);

  it.each([1000, MANY])("do not depend on batch, threads or instruction set: %i ids", async (ids) => {
    const source = randomSource(smallSpec());
    const head = headOver(ids, 19);
    const run = async (options: NativeOptions, together: boolean) => {
      await using executor = await createNativeExecutor(source, options);
      await executor.loadHead("exit", head);
      return await answersTo(executor, together);
    };
    for (const activations of ["int8", "f32"] as const) {
      const [expected] = await run({ activations, threads: 1 }, true);
      const alone = await run({ activations, threads: 1 }, false);
      alone.forEach((one, row) => {
        const own = [expected.best, expected.entropy, expected.maxProbability, expected.margin].map((x) => x[row]);
        expect([one.best[0], one.entropy[0], one.maxProbability[0], one.margin[0]]).toEqual(own);
      });
      const [threaded] = await run({ activations, threads: 3 }, true);
      expect(bitsOf(threaded)).toEqual(bitsOf(expected));
      // The scalar table is slow.
      for (const isa of ids === MANY ? [] : ISAS) {
        expect(bitsOf((await run({ activations, isa, threads: 2 }, true))[0]), isa).toEqual(bitsOf(expected));
      }
    }
  });

  it("are those of the logits where many pass at a time", async () => {
    await withExecutor(randomSource(smallSpec()), {}, async (executor) => {
      await executor.loadHead("exit", headOver(MANY, 2));
      const hidden = executor.write(normals(ROWS * HIDDEN, "hidden"), ROWS);
      const rows = Int32Array.from({ length: ROWS }, (_, row) => ROWS - 1 - row);
      const answers = await executor.answers(hidden, rows, { head: "exit" });
      const some = rows.subarray(31, 33);
      expectAnswers(answers, await executor.logits(hidden, some, { head: "exit" }), MANY + 1, 31);
      executor.release(hidden);
    });
  });

  it("hold a packed head's rows to the numbers that it unpacks to", async () => {
    const head = headOver(200, 3);
    const asDense: ExitHead = { ...head, matrix: denseMatrix(head.matrix) };
    await withExecutor(randomSource(smallSpec()), {}, async (executor) => {
      await executor.loadHead("exit", head);
      const [packed] = await answersTo(executor, true);
      await executor.loadHead("exit", asDense);
      const [dense] = await answersTo(executor, true);
      expect(bitsOf(packed)).toEqual(bitsOf(dense));
    });
  });
});
