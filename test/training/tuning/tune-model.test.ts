import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Interrupted } from "../../../src/errors.ts";
import { createExecutor } from "../../../src/runtime/create-executor.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { Random } from "../../../src/tensor/random.ts";
import { statesBelow } from "../../../src/training/tuning/below.ts";
import type { Example } from "../../../src/training/tuning/examples.ts";
import { TuneSettings } from "../../../src/training/tuning/settings.ts";
import { type TunedModel, tuneModel } from "../../../src/training/tuning/tune-model.ts";
import type { TuneModelOptions } from "../../../src/training/tuning/tune-options.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";

const source = randomSource(smallSpec({ blocks: 4 }));
let folder = "";
let executor: AnyExecutor;
beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "tune-model-"));
  // One thread: the products are of a size at which threads only wait for one another.
  executor = await createExecutor(source, { residency: "resident", activations: "f32", threads: 1 });
});
afterAll(async () => {
  await executor.dispose();
  rmSync(folder, { recursive: true, force: true });
});

/** Sequences in which each id says which one follows. */
const random = new Random(3);
const examples = (count: number): Example[] =>
  Array.from({ length: count }, () => {
    let id = random.nextInt(37);
    const ids = Int32Array.from({ length: 12 }, () => {
      id = (id * 5 + 3) % 37;
      return id;
    });
    return { ids, learned: new Uint8Array(12).fill(1, 1) };
  });
const [train, heldOut] = [examples(12), examples(4)];

let runs = 0;
function tuned(settings: Partial<TuneSettings>, options: Partial<TuneModelOptions> = {}): Promise<TunedModel> {
  const own = options.folder ?? mkdtempSync(path.join(folder, `${runs++}-`));
  return tuneModel({
    ...{ source, executor, modelId: "m", train, heldOut, folder: own },
    settings: TuneSettings.parse({ window: 2, rank: 4, steps: 12, accumulate: 2, rate: 0.02, clip: 1, ...settings }),
    ...options,
  });
}

const numbersOf = ({ parts }: TunedModel) => parts.map(({ block, role, a, b }) => [block, role, ...a, ...b]);

describe("adaptive layer tuning", () => {
  it.each([
    ["a window at a time", {}],
    ["windows in turns", { order: "round-robin", turn: 2 }],
    ["windows by loss", { order: "by-loss", turn: 2 }],
    ["loss after the last block", { exit: "last" }],
    ["all blocks at once", { window: "all" }],
    ["blocks run again on the way back", { recompute: true }],
    ["some roles, from a block on", { roles: ["attn.q", "mlp.down"], firstBlock: 1 }],
  ] as const)("%s: held-out loss falls", async (_, settings) => {
    const { before, after, turns } = await tuned({ steps: 16, ...settings } as Partial<TuneSettings>);
    expect(turns.reduce((sum, { steps }) => sum + steps, 0)).toBe(16);
    expect(after[after.length - 1]).toBeLessThan(before[before.length - 1] - 0.03);
  });

  it("learns nothing outside the roles and blocks that were asked for", async () => {
    const { parts } = await tuned({ roles: ["attn.q", "mlp.down"], firstBlock: 1 });
    expect(new Set(parts.map(({ block, role }) => `${block} ${role}`))).toEqual(
      new Set([1, 2, 3].flatMap((block) => [`${block} attn.q`, `${block} mlp.down`])),
    );
    expect(parts.every(({ b }) => b.some((x) => x !== 0))).toBe(true);
  });

  it("running blocks again gives the same bytes", async () => {
    expect(numbersOf(await tuned({ recompute: true }))).toEqual(numbersOf(await tuned({ recompute: false })));
  });

  it("states below that are kept on disk are those that would be computed", async () => {
    const { ids } = train[0];
    const below = { executor, depth: 2, adapter: null };
    const kept = mkdtempSync(path.join(folder, "states-"));
    const computed = await statesBelow(ids, 0, { ...below, folder: null });
    expect(await statesBelow(ids, 0, { ...below, folder: kept })).toEqual(computed);
    expect(readdirSync(kept)).toEqual(["0.f32"]);
    expect(await statesBelow(ids, 0, { ...below, folder: kept })).toEqual(computed);
    // A file cut short is none.
    writeFileSync(path.join(kept, "0.f32"), "short");
    expect(await statesBelow(ids, 0, { ...below, folder: kept })).toEqual(computed);
  });

  it.each(["shallow-to-deep", "round-robin", "by-loss"] as const)(
    "stopped at any step and called again it gives the same bytes: %s",
    async (order) => {
      const settings = { order, turn: 2, steps: 6, saveEvery: 2 };
      const whole = await tuned(settings);
      for (const stopAt of [1, 4, 5]) {
        const own = mkdtempSync(path.join(folder, `${runs++}-`));
        const aborter = new AbortController();
        const stopped = tuned(settings, {
          ...{ folder: own, signal: aborter.signal },
          onProgress: ({ done }) => done === stopAt && aborter.abort(),
        });
        await expect(stopped).rejects.toThrow(Interrupted);
        expect(numbersOf(await tuned(settings, { folder: own })), `stopped after ${stopAt}`).toEqual(numbersOf(whole));
      }
    },
  );

  it("a loss that is not finite stops it, names step and sequence, and keeps the state before", async () => {
    let calls = 0;
    const settings = { steps: 6, accumulate: 2, saveEvery: 100 };
    const own = mkdtempSync(path.join(folder, `${runs++}-`));
    const broken = new Proxy(executor, {
      get(target, name) {
        const found: unknown = Reflect.get(target, name);
        if (name !== "logits") return typeof found === "function" ? found.bind(target) : found;
        // Of the calls after those for held-out text: the second sequence of step 3.
        return async (...of: Parameters<AnyExecutor["logits"]>) => {
          const logits = await target.logits(...of);
          return ++calls === 2 * heldOut.length + 6 ? logits.fill(Number.NaN) : logits;
        };
      },
    });
    await expect(tuned(settings, { folder: own, executor: broken })).rejects.toThrow(
      "tuning: step 3: sequence 2 of the batch: loss: expected a finite number, found NaN",
    );
    expect(numbersOf(await tuned(settings, { folder: own }))).toEqual(numbersOf(await tuned(settings)));
  });
});
