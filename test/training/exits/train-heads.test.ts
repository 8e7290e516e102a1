import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Interrupted } from "../../../src/errors.ts";
import { readOutputVectors } from "../../../src/model/output-vectors.ts";
import { ensureGradients, openBackend } from "../../../src/runtime/tfjs/backend.ts";
import { Random } from "../../../src/tensor/random.ts";
import { allBatches, batchesPerEpoch, trainingBatches } from "../../../src/training/exits/batches.ts";
import type { HeadKind } from "../../../src/training/exits/head-parameters.ts";
import { collectStates, type SavedStates } from "../../../src/training/exits/states.ts";
import { type TrainedHead, type TrainHeadsOptions, trainHeads } from "../../../src/training/exits/train-heads.ts";
import { TRAINING_DEFAULTS } from "../../../src/training/exits/training-settings.ts";
import { gatherHeadRows } from "../../../src/training/exits/vocabulary.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf } from "../../runtime/test-executors.ts";

const source = randomSource(smallSpec({ blocks: 3 }));
const ids = Int32Array.from({ length: 24 }, (_, i) => i + 2);
const random = new Random(5);
const texts = (count: number) =>
  Array.from({ length: count }, () => Int32Array.from({ length: 16 }, () => random.nextInt(37)));

let folder = "";
let train: SavedStates;
let stop: SavedStates;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "train-heads-"));
  await openBackend({ threads: 1 });
  await ensureGradients();
  const executor = await executorsOf("tfjs", "resident")(source);
  const common = { executor, modelId: "m", points: [1, 2], folder, shardTokens: 48 };
  train = await collectStates({ ...common, name: "train", sequences: texts(20) });
  stop = await collectStates({ ...common, name: "stop", sequences: texts(6) });
  await executor.dispose();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const settings = { ...TRAINING_DEFAULTS.adapter, epochs: 4, batchTokens: 40, rate: 1e-2, evaluateEvery: 8 };
/** Where only the bytes count, not how good they are. */
const short = { ...settings, epochs: 1, evaluateEvery: 3 };

async function trained(name: string, options: Partial<TrainHeadsOptions> & { kind?: HeadKind } = {}) {
  const { kind = "adapter", ids: scored = ids } = options;
  const start = {
    kind,
    rank: 4,
    rows: await gatherHeadRows(source, scored),
    norm: (await readOutputVectors(source)).norm,
  };
  return trainHeads({
    ...{ start, norm: source.spec.finalNorm, points: [1, 2], blocks: 3, ids: scored, train, stop, settings, seed: 1 },
    ...{ stateFile: path.join(folder, `${name}.safetensors`), key: "k" },
    ...options,
  });
}

const numbersOf = (heads: readonly TrainedHead[]) =>
  heads.map(({ parameters }) => parameters.map(({ name, values }) => [name, ...values]));

describe("trainHeads", () => {
  it.each<[string, HeadKind, Int32Array | null]>([
    ["adapter", "adapter", ids],
    ["adapter on all ids", "adapter", null],
    ["linear", "linear", ids],
  ])("lowers the held-out loss of every head: %s", async (name, kind, scored) => {
    const heads = await trained(name, { kind, ids: scored });
    expect(heads.map(({ blocks }) => blocks)).toEqual([1, 2]);
    for (const { before, after, steps } of heads) {
      expect(after.loss).toBeLessThan(before.loss * 0.97);
      expect(steps).toBeGreaterThan(0);
    }
  });

  it("stopped anywhere and called again gives the same bytes as undisturbed; another seed gives others", async () => {
    const whole = await trained("whole", { settings: short });
    expect(numbersOf(await trained("other", { settings: short, seed: 2 }))).not.toEqual(numbersOf(whole));
    // Before the first state is saved, right after one, between two.
    for (const at of [2, 3, 7]) {
      const stopping = new AbortController();
      const onProgress = ({ done }: { done: number }) => done === at && stopping.abort();
      const options = { settings: short, signal: stopping.signal, onProgress };
      await expect(trained(`stopped ${at}`, options)).rejects.toThrow(Interrupted);
      const steps: number[] = [];
      const again = await trained(`stopped ${at}`, { settings: short, onProgress: ({ done }) => steps.push(done) });
      expect(steps[0]).toBe(at - (at % 3));
      expect(again).toEqual(whole);
    }
  });

  it("takes no state of another training, nor a damaged one; a finished one is not done again", async () => {
    const steps: number[] = [];
    const onProgress = ({ done }: { done: number }) => steps.push(done);
    const whole = await trained("kept", { settings: short, onProgress });
    const count = steps.length;
    expect(await trained("kept", { settings: short, onProgress })).toEqual(whole);
    expect(steps.length).toBe(count);
    await trained("kept", { settings: short, key: "other", onProgress });
    expect(steps.length).toBe(2 * count);
    writeFileSync(path.join(folder, "kept.safetensors"), "no");
    expect(await trained("kept", { settings: short })).toEqual(whole);
  });

  it("ends early and keeps the start where learning only does harm", async () => {
    const steps: number[] = [];
    const heads = await trained("harm", {
      settings: { ...settings, rate: 10, patience: 2 },
      onProgress: ({ done }) => steps.push(done),
    });
    expect(steps.at(-1)).toBe(16);
    for (const { before, after, steps: best } of heads) {
      expect(best).toBe(0);
      expect(after).toEqual(before);
    }
  });
});

describe("trainingBatches", () => {
  async function take(from: number, count: number) {
    const taken: { states: readonly number[]; argmax: readonly number[] }[] = [];
    for await (const { states, argmax } of trainingBatches(train, { batchTokens: 40, seed: 3, from })) {
      taken.push({ states: [...(states.get(3) ?? [])], argmax: [...argmax] });
      if (taken.length === count) return taken;
    }
    return taken;
  }

  it("takes every token once an epoch, and goes on at any step as if it had never stopped", async () => {
    const perEpoch = batchesPerEpoch(train.tokens, 40);
    expect(perEpoch).toBe(8);
    const two = await take(0, 2 * perEpoch);
    const rows = (batches: typeof two) =>
      batches.flatMap(({ states }) =>
        Array.from({ length: states.length / 16 }, (_, i) => states.slice(i * 16, i * 16 + 16).join()),
      );
    const inOrder: string[] = [];
    for await (const { states } of allBatches(train, 33)) {
      const all = [...(states.get(3) ?? [])];
      for (let i = 0; i < all.length; i += 16) inOrder.push(all.slice(i, i + 16).join());
    }
    expect(rows(two.slice(0, perEpoch)).sort()).toEqual([...inOrder].sort());
    expect(rows(two.slice(perEpoch))).not.toEqual(rows(two.slice(0, perEpoch)));
    expect(await take(5, 6)).toEqual(two.slice(5, 11));
  });
});
