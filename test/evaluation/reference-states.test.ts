import { mkdtempSync, statSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { type EvaluationTimings, evaluate } from "../../src/evaluation/evaluate.ts";
import type { EvaluationResult } from "../../src/evaluation/evaluation-result.ts";
import { collectReferenceStates, headOnly, savedReferenceStates } from "../../src/evaluation/reference-states.ts";
import { cutWindows } from "../../src/evaluation/windows.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { packWith, quantizedOverlay } from "../../src/quantization/overlay.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { randomSequences, randomSource, tinySpec } from "../scoring/tiny-model.ts";

const spec = tinySpec(2);
const [ids] = randomSequences(1, 200, spec.vocabSize, 4);
const windows = cutWindows(ids, { windowTokens: 40, scored: "second-half" });
const folder = () => mkdtempSync(path.join(os.tmpdir(), "layerwise-states-"));

describe.each(TEST_EXECUTORS)("reference states on %s", (kind) => {
  async function open() {
    const reference = await executorsOf(kind, "resident")(randomSource(spec, 1));
    const source = quantizedOverlay(randomSource(spec, 1), packWith(plainMaths, "q4s-g32", "nearest"));
    return { reference, executor: await executorsOf(kind, "packed")(source) };
  }

  /** On tfjs a row's last bits follow the rows beside it. */
  function expectSame(one: EvaluationResult, other: EvaluationResult): void {
    if (kind === "native") expect(one).toEqual(other);
    expect(one.divergence?.mean).toBeCloseTo(other.divergence?.mean ?? Number.NaN, 7);
    expect(one.model.meanNll).toBeCloseTo(other.model.meanNll, 6);
    expect(one.reference?.meanNll).toBeCloseTo(other.reference?.meanNll ?? Number.NaN, 6);
  }

  it("give the figures that the reference itself gives, from memory and from a file", async () => {
    const { reference, executor } = await open();
    const live = await evaluate({ executor, reference, windows });
    expect(live.divergence?.mean).toBeGreaterThan(0);
    const collected = await collectReferenceStates({ reference, windows, rowsPerPass: 100 });
    expectSame(await evaluate({ executor, reference, referenceStates: collected, windows }), live);

    const file = path.join(folder(), "states.safetensors");
    const request = { reference, referenceId: "one", windows };
    const written = await savedReferenceStates(file, { ...request, rowsPerPass: 50 });
    await written.close();
    const saved = await savedReferenceStates(file, request);
    expect([written.isNew, saved.isNew]).toEqual([true, false]);
    expect(statSync(file).size).toBeLessThan(windows.windows.length * 19 * spec.hiddenSize * 4 + 1000);
    const timings: EvaluationTimings[] = [];
    const head = await executorsOf(kind, "resident")(headOnly(randomSource(spec, 1)));
    const fromFile = await evaluate({
      ...{ executor, reference: head, referenceStates: saved, windows, rowsPerPass: 70 },
      onTimings: (told) => timings.push(told),
    });
    expectSame(fromFile, live);
    expect(timings).toHaveLength(1);
    expect(timings[0]).toMatchObject({ windows: 5, executors: [expect.any(Number)] });
    await saved.close();
    await head.dispose();
    await reference.dispose();
    await executor.dispose();
  });

  it("refuse a file of another text or reference, and one that holds something else", async () => {
    const { reference, executor } = await open();
    const file = path.join(folder(), "states.safetensors");
    await (await savedReferenceStates(file, { reference, referenceId: "one", windows })).close();
    const other = cutWindows(ids, { windowTokens: 40 });
    const refused = "expected the states of this reference on these windows, found those of others";
    await expect(savedReferenceStates(file, { reference, referenceId: "one", windows: other })).rejects.toThrow(
      refused,
    );
    await expect(savedReferenceStates(file, { reference, referenceId: "two", windows })).rejects.toThrow(refused);
    writeFileSync(file, "something else");
    await expect(savedReferenceStates(file, { reference, referenceId: "one", windows })).rejects.toThrow(file);
    const states = await collectReferenceStates({ reference, windows: other });
    await expect(evaluate({ executor, reference, referenceStates: states, windows })).rejects.toThrow("windows score");
    await reference.dispose();
    await executor.dispose();
  });

  it("evaluate with the keys and values that the model keeps, the reference with f32", async () => {
    const { reference } = await open();
    const same = await executorsOf(kind, "resident")(randomSource(spec, 1));
    const run = (kvType: "f32" | "f16" | "q8") => evaluate({ executor: same, reference, windows, kvType });
    const [f32, f16, q8] = [await run("f32"), await run("f16"), await run("q8")];
    expect(f32.divergence?.max).toBe(0);
    expect(f16.divergence?.mean).toBeGreaterThan(0);
    expect(q8.divergence?.mean).toBeGreaterThan(f16.divergence?.mean ?? 1);
    expect(q8.divergence?.mean).toBeLessThan(1e-3);
    expect([f16.model.arithmetic.kvType, f16.reference?.arithmetic.kvType]).toEqual(["f16", "f32"]);
    await reference.dispose();
    await same.dispose();
  });
});
