import { readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { mostLikely } from "../../../src/decoding/sampler.ts";
import { Interrupted } from "../../../src/errors.ts";
import { createExecutor } from "../../../src/runtime/create-executor.ts";
import type { ExecutorKind } from "../../../src/runtime/executors.ts";
import { type SelfTextOptions, writeSelfText } from "../../../src/training/exits/self-text.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { TEST_EXECUTORS } from "../../runtime/test-executors.ts";

const prompts = Array.from({ length: 70 }, (_, i) =>
  Int32Array.from({ length: 16 }, (_, at) => (i * 5 + at * at) % 37),
);

/** A random model, whose text one of the ids may end. */
const executorOf = (executor: ExecutorKind, eosTokens: number[] = []) =>
  createExecutor(randomSource({ ...smallSpec(), eosTokens }), { executor, threads: 1 });

/** Text of a random model; `eosTokens` end it. */
async function written(
  kind: ExecutorKind,
  { eosTokens = [], ...options }: Partial<SelfTextOptions> & { readonly eosTokens?: number[] } = {},
): Promise<number[][]> {
  const executor = await executorOf(kind, eosTokens);
  const shared = {
    executor,
    prompts: prompts.slice(0, 3),
    tokens: 1e6,
    seed: 3,
    kvType: "f32" as const,
    textTokens: 24,
  };
  try {
    const texts = await writeSelfText({ ...shared, folder: temporaryFolder(), ...options });
    return texts.map((text) => [...text]);
  } finally {
    await executor.dispose();
  }
}

/** The most likely continuation, each token from the whole text before it. */
async function greedy(kind: ExecutorKind, start: readonly number[], length: number): Promise<number[]> {
  const executor = await executorOf(kind);
  const ids = [...start];
  while (ids.length < length) {
    const spans = [{ cache: null, position: 0, count: ids.length }];
    const hidden = await executor.runBlocks(await executor.embed(Int32Array.from(ids)), 0, 2, spans);
    ids.push(mostLikely(await executor.logits(hidden, Int32Array.of(ids.length - 1))));
  }
  await executor.dispose();
  return ids;
}

describe.each(TEST_EXECUTORS)("text that a model writes: %s", (kind) => {
  it("continues 8 to 16 tokens of each prompt, every second text by the most likely token, the same for a seed", async () => {
    const texts = await written(kind);
    expect(texts.map(({ length }) => length)).toEqual([24, 24, 24]);
    for (const [i, text] of texts.entries()) expect(text.slice(0, 8)).toEqual([...prompts[i].slice(0, 8)]);
    const plain = await greedy(kind, texts[0].slice(0, 16), 24);
    // The prompt ends somewhere in the first 16 tokens, and is what the model would not have said.
    expect(texts[0].slice(0, 24)).toEqual(plain);
    expect(texts[1].slice(16)).not.toEqual((await greedy(kind, texts[1].slice(0, 16), 24)).slice(16));
    expect(await written(kind)).toEqual(texts);
    const other = await written(kind, { seed: 4 });
    expect(other[1]).not.toEqual(texts[1]);
  });
});

describe("text that a model writes", () => {
  it("ends where the model ends it, and at the tokens asked for", async () => {
    const [text] = await written("tfjs", { prompts: prompts.slice(0, 1) });
    const eos = text[20];
    const [ended] = await written("tfjs", { prompts: prompts.slice(0, 1), eosTokens: [eos] });
    expect(ended.length).toBeLessThanOrEqual(21);
    expect(ended.at(-1)).toBe(eos);
    expect(ended).toEqual(text.slice(0, ended.length));
    const limited = await written("tfjs", { tokens: 59 });
    expect(limited.map(({ length }) => length)).toEqual([24, 24, 11]);
  });

  it("goes on at the last finished batch, and writes a damaged one again", async () => {
    const folder = temporaryFolder();
    const stop = new AbortController();
    const all = { prompts, folder, textTokens: 18 };
    const whole = await written("tfjs", { ...all, folder: temporaryFolder() });
    expect(whole).toHaveLength(70);
    const stopped = written("tfjs", { ...all, signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toThrow(Interrupted);
    expect(readdirSync(folder)).toEqual(["texts-0.json"]);
    expect(await written("tfjs", all)).toEqual(whole);
    expect(readdirSync(folder).sort()).toEqual(["texts-0.json", "texts-64.json"]);
    writeFileSync(path.join(folder, "texts-64.json"), "[[1,");
    expect(await written("tfjs", all)).toEqual(whole);
    rmSync(folder, { recursive: true });
  });
});
