import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { openHeadLoss } from "../../../src/training/tuning/head-loss.ts";
import { normals } from "../../native/engines.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../../runtime/test-executors.ts";

const ROWS = 41;
const targets = Int32Array.from({ length: ROWS }, (_, row) => (row % 5 === 2 ? -1 : (row * 7) % 37));

describe.each(TEST_EXECUTORS)("head loss on %s", (kind) => {
  describe.each([
    ["rms norm, tied", smallSpec({ tied: true })],
    ["layer norm, biased head, factors", smallSpec({ norm: "layer", headBias: true, factors: true })],
  ])("%s", (_, spec) => {
    const source = randomSource(spec);
    const hidden = normals(ROWS * spec.hiddenSize, "hidden");
    let executor: AnyExecutor;
    beforeAll(async () => {
      executor = await executorsOf(kind, "resident")(source);
    });
    afterAll(() => executor.dispose());

    /** Mean loss by logits in double precision. */
    async function meanLoss(states: Float32Array): Promise<number> {
      const logits = await executor.logits(executor.write(states, ROWS));
      let [sum, count] = [0, 0];
      targets.forEach((id, row) => {
        if (id < 0) return;
        const own = Array.from(logits.subarray(row * spec.vocabSize, (row + 1) * spec.vocabSize));
        const largest = Math.max(...own);
        sum += largest + Math.log(own.reduce((total, x) => total + Math.exp(x - largest), 0)) - own[id];
        count++;
      });
      return sum / count;
    }

    it("sums the cross entropy of rows with a target, and its slope is that of numeric differences", async () => {
      const head = await openHeadLoss(source, executor);
      const counted = targets.filter((id) => id >= 0).length;
      const to = new Float32Array(hidden.length);
      const found = await head.run({ hidden, targets }, { weight: 1 / counted, to });
      expect(found.targets).toBe(counted);
      expect(found.sum / counted).toBeCloseTo(await meanLoss(hidden), 4);
      expect((await head.run({ hidden, targets })).sum).toBe(found.sum);
      const step = 0.02;
      const largest = to.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      for (let i = 0; i < hidden.length; i += 37) {
        const moved = (by: number) => meanLoss(hidden.map((x, at) => (at === i ? x + by : x)));
        const slope = ((await moved(step)) - (await moved(-step))) / (2 * step);
        expect(Math.abs(to[i] - slope), `[${i}]`).toBeLessThan(0.01 * largest);
      }
      const row = targets.indexOf(-1) * spec.hiddenSize;
      expect(to.subarray(row, row + spec.hiddenSize).every((x) => x === 0)).toBe(true);
    });
  });
});

describe("ids below the least share", () => {
  it("count together: the slope is wrong by no more than their probability times a row's distance from the mean", async () => {
    // Peaked enough that most of 37 ids are below 1e-4, and flat enough that they are more than nothing together.
    const spec = smallSpec();
    const source = randomSource(spec);
    const executor = await executorsOf(TEST_EXECUTORS[0], "resident")(source);
    try {
      const head = await openHeadLoss(source, executor);
      const hidden = normals(ROWS * spec.hiddenSize, "hidden");
      const found = await head.run({ hidden, targets }, { weight: 1, to: new Float32Array(hidden.length) });
      expect(found.shared).toBeGreaterThanOrEqual(0);
      expect(found.shared).toBeLessThan(found.targets * 37e-4);
    } finally {
      await executor.dispose();
    }
  });
});
