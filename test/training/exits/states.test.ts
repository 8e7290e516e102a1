import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Interrupted } from "../../../src/errors.ts";
import { matricesOf } from "../../../src/model/decoder-spec.ts";
import type { ExecutorKind } from "../../../src/runtime/executors.ts";
import { f16ToF32Array, f32ToF16Array } from "../../../src/tensor/half.ts";
import { collectStates, type StatesRequest } from "../../../src/training/exits/states.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { scaledSource } from "../../support/scaled-source.ts";

const source = randomSource(smallSpec({ blocks: 4 }));
const sequences = Array.from({ length: 7 }, (_, i) =>
  Int32Array.from({ length: 10 + i }, (_, at) => (i * 7 + at * at) % 37),
);

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), "states-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

async function collect(options: Partial<StatesRequest> = {}, kind: ExecutorKind = "tfjs") {
  const executor = await executorsOf(kind, "packed")(source);
  const common = { executor, modelId: "m", sequences, points: [1, 3], folder, name: "train", shardTokens: 30 };
  try {
    return await collectStates({ ...common, ...options });
  } finally {
    await executor.dispose();
  }
}

const contents = () => readdirSync(folder).map((name) => [name, readFileSync(path.join(folder, name)).toString("hex")]);

describe("collectStates", () => {
  it.each(TEST_EXECUTORS)(
    "keeps what a plain run of the blocks gives, and the model's own answers: %s",
    async (kind) => {
      const saved = await collect({}, kind);
      expect(saved.shards).toEqual([21, 25, 29, 16]);
      expect(saved.tokens).toBe(91);
      const executor = await executorsOf("tfjs", "resident")(source);
      const shard = await saved.read(1);
      expect([...shard.states.keys()]).toEqual([1, 3, 4]);
      const [first] = sequences.slice(2, 3);
      let hidden = await executor.embed(first);
      const spans = [{ cache: null, position: 0, count: first.length }];
      for (const [from, to] of [
        [0, 1],
        [1, 3],
        [3, 4],
      ]) {
        hidden = await executor.runBlocks(hidden, from, to, spans);
        const halves = shard.states.get(to) ?? new Uint16Array();
        const wanted = f16ToF32Array(f32ToF16Array(await executor.read(hidden)));
        const found = f16ToF32Array(halves.subarray(0, first.length * 16));
        // Other rows beside it may change the last bit of a sum.
        for (const [i, value] of wanted.entries())
          expect(Math.abs(found[i] - value)).toBeLessThan(0.002 * (1 + Math.abs(value)));
      }
      const logits = await executor.logits(hidden);
      for (let row = 0; row < first.length; row++) {
        const own = logits.subarray(row * 37, (row + 1) * 37);
        expect(own[shard.teacher.argmax[row]]).toBe(Math.max(...own));
        const logSumExp = Math.log(own.reduce((sum, value) => sum + Math.exp(value), 0));
        expect(shard.teacher.logSumExp[row]).toBeCloseTo(logSumExp, 4);
      }
      await executor.dispose();
    },
  );

  it("small-weights-vanish: refuses states that f16 cannot express", async () => {
    const small = Object.fromEntries(
      matricesOf(source.spec).flatMap(({ id }) => (/embedding|attn.o|mlp.down/.test(id) ? [[id, 2 ** -22]] : [])),
    );
    const executor = await executorsOf("tfjs", "packed")(scaledSource(source, small));
    await expect(collect({ executor })).rejects.toMatchObject({
      ...{ name: "UserError", code: "EXIT_STATES" },
      message: expect.stringMatching(/^hidden states after 1 blocks: expected numbers that f16 can express/),
    });
    await executor.dispose();
  });

  it("goes on after an interruption, and computes damaged and missing shards anew, to the same bytes", async () => {
    await collect();
    const whole = contents();
    rmSync(folder, { recursive: true });
    folder = mkdtempSync(path.join(tmpdir(), "states-"));
    const stop = new AbortController();
    const onProgress = ({ done }: { done: number }) => done > 21 && stop.abort();
    await expect(collect({ signal: stop.signal, onProgress })).rejects.toThrow(Interrupted);
    const made = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
    expect(made).toEqual(["train-00000.safetensors", "train-00001.safetensors"]);
    const kept = statSync(path.join(folder, made[1])).mtimeMs;
    const flipped = readFileSync(path.join(folder, made[0]));
    flipped[flipped.length - 9] ^= 1;
    writeFileSync(path.join(folder, made[0]), flipped);
    await collect();
    expect(contents()).toEqual(whole);
    expect(statSync(path.join(folder, made[1])).mtimeMs).toBe(kept);
    truncateSync(path.join(folder, made[1]), 100);
    writeFileSync(path.join(folder, "train.json"), "{");
    await collect();
    expect(contents()).toEqual(whole);
  });

  it("takes nothing of another model, other texts or other exits", async () => {
    await collect();
    const before = readFileSync(path.join(folder, "train.json"), "utf8");
    await collect({ modelId: "n" });
    expect(JSON.parse(readFileSync(path.join(folder, "train.json"), "utf8")).key).not.toBe(JSON.parse(before).key);
    const saved = await collect({ points: [2] });
    expect([...(await saved.read(0)).states.keys()]).toEqual([2, 4]);
  });
});
