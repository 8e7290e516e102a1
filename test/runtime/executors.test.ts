import { describe, expect, it } from "vitest";
import { plannedBase, runtimeBase } from "../../src/runtime/base-bytes.ts";
import { chooseExecutor, createExecutor } from "../../src/runtime/create-executor.ts";
import { describeExecutor } from "../../src/runtime/describe-executor.ts";
import { ExecutorInfo } from "../../src/runtime/executor-info.ts";
import { EXECUTOR_KINDS, EXECUTORS, kindOf, traitsOf } from "../../src/runtime/executors.ts";
import { emptyAnswers } from "../../src/runtime/head-answers.ts";
import { OUTPUT_HEAD } from "../../src/runtime/heads.ts";
import { logitsOf } from "./compare.ts";
import { packedSource, randomSource, smallSpec } from "./random-model.ts";
import { TEST_EXECUTORS } from "./test-executors.ts";

const IDS = [3, 1, 4, 1, 5, 9, 2, 6];
const WIDTH = smallSpec().vocabSize;

describe.each(EXECUTOR_KINDS)("the table's entry of %s", (kind) => {
  it("is chosen by name where it runs, and says what to do where it does not", async () => {
    const probe = await EXECUTORS[kind].probe();
    if (probe.works) expect(await chooseExecutor({ executor: kind })).toMatchObject({ kind });
    else await expect(chooseExecutor({ executor: kind })).rejects.toMatchObject({ code: "EXECUTOR", hint: probe.hint });
  });

  it("counts its base into plans that name it", () => {
    const base = plannedBase({ executor: kind, backend: "auto" }, { vocabSize: 512 });
    expect(base.runtimeBaseBytes).toBeGreaterThan(2 ** 20);
    expect(runtimeBase({ executor: kind, backend: null }, { vocabSize: 512 })).toEqual(base);
  });
});

it("plans count with the fastest where none is named", () => {
  const spec = { vocabSize: 512 };
  const first = plannedBase({ executor: EXECUTOR_KINDS[0], backend: "auto" }, spec);
  expect(plannedBase({ executor: "auto", backend: "auto" }, spec)).toEqual(first);
  expect(plannedBase({ executor: "auto", backend: "wasm" }, spec)).toEqual(
    runtimeBase({ executor: "tfjs", backend: "wasm" }, spec),
  );
});

it("the base grows with the tokenizer's vocabulary, and more while it is read", () => {
  const [small, large] = [0, 150_000].map((vocabSize) =>
    plannedBase({ executor: "auto", backend: "auto" }, { vocabSize }),
  );
  expect(small.openingBytes).toBe(small.runtimeBaseBytes);
  expect(large.runtimeBaseBytes - small.runtimeBaseBytes).toBeGreaterThan(40e6);
  expect(large.openingBytes - small.openingBytes).toBeGreaterThan(130e6);
});

it("knows no executor outside the table", () => {
  expect(() => kindOf({ executor: "abacus" })).toThrow("executor: expected native or tfjs, found abacus");
});

describe.each(TEST_EXECUTORS)("an executor of the kind %s", (kind) => {
  const open = async () => {
    const source = await packedSource(randomSource(smallSpec()), "q4s-g32");
    return createExecutor(source, { executor: kind, threads: 1 });
  };

  it("says what it is, as it does without a model", async () => {
    const executor = await open();
    expect(ExecutorInfo.parse(executor.info).executor).toBe(kind);
    const { executor: described, backend, isa } = await describeExecutor({ executor: kind, threads: 1 });
    expect({ described, backend, isa }).toEqual({
      ...{ described: kind, backend: executor.info.backend, isa: executor.info.isa },
    });
    expect(executor.info.backend === null).toBe(!traitsOf(executor.info).hasBackends);
    await executor.dispose();
  });

  it("keeps a row's numbers whatever runs with it, where it says so", async () => {
    const executor = await open();
    const whole = await logitsOf(executor, IDS);
    const alone = await logitsOf(executor, IDS.slice(0, 3));
    const same = whole.subarray(0, 3 * WIDTH).every((logit, i) => logit === alone[i]);
    if (traitsOf(executor.info).rowExact) expect(same).toBe(true);
    whole.subarray(0, 3 * WIDTH).forEach((logit, i) => {
      expect(Math.abs(logit - alone[i])).toBeLessThan(1e-3);
    });
    await executor.dispose();
  });

  it("answers with the largest of the logits that it gives", async () => {
    const executor = await open();
    const embedded = await executor.embed(Int32Array.from(IDS));
    const rows = Int32Array.from(IDS.keys());
    const into = emptyAnswers(IDS.length);
    const span = { cache: null, position: 0, count: IDS.length };
    const hidden = await executor.runBlocks(embedded, 0, executor.spec.blocks.length, [span], {
      answers: { head: OUTPUT_HEAD, rows, into },
    });
    const logits = await executor.logits(hidden, rows);
    const best = Array.from(rows, (row) => {
      const of = logits.subarray(row * WIDTH, (row + 1) * WIDTH);
      return of.indexOf(Math.max(...of));
    });
    expect([...into.best]).toEqual(best);
    executor.release(embedded);
    executor.release(hidden);
    await executor.dispose();
  });
});
