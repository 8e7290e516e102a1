import { readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generate } from "../../src/decoding/generate.ts";
import { type OpenModel, openModel } from "../../src/decoding/open-model.ts";
import { mostLikely } from "../../src/decoding/sampler.ts";
import { Session } from "../../src/decoding/session.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { NEOX_CASE, STORIES_CASE } from "../runtime/goldens.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";

const LONGROPE = path.join(ARCHITECTURES, "phi3-longrope");

const largestDifference = (a: Float32Array, b: Float32Array) =>
  a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);

interface Golden {
  readonly greedy: { readonly prompt: number[]; readonly continuation: number[] };
  readonly text: { readonly greedy_text: string };
}

const MODEL_CASES = TEST_EXECUTORS.flatMap((executor) =>
  [STORIES_CASE, NEOX_CASE].map((goldenCase) => ({ ...goldenCase, executor })),
);

describe.each(MODEL_CASES)("$name on $executor", ({ folder, golden: goldenFile, executor }) => {
  let golden: Golden;
  let model: OpenModel;

  beforeAll(async () => {
    golden = JSON.parse(readFileSync(goldenFile, "utf8"));
    model = await openModel(folder, { executor });
  });
  afterAll(() => model?.close());

  test("greedy generation gives the golden tokens and their text", async () => {
    const session = model.createSession();
    const { prompt, continuation } = golden.greedy;
    const stream = generate(session, model.tokenizer, prompt, { maxTokens: continuation.length, ignoreEos: true });
    let text = model.tokenizer.decode(prompt, { skipSpecial: true });
    let step = await stream.next();
    for (; !step.done; step = await stream.next()) text += step.value.text;
    session.close();
    expect(step.value.ids).toEqual(continuation);
    expect(step.value.reason).toBe("length");
    expect(text.trim()).toBe(golden.text.greedy_text.trim());
  });

  test("a forked session and one fed token by token agree", async () => {
    const session = model.createSession();
    const { prompt } = golden.greedy;
    await session.feed(prompt.slice(0, 3));
    const fork = session.fork();
    const whole = await session.feed(prompt.slice(3));
    let last = new Float32Array();
    for (const id of prompt.slice(3)) last = Float32Array.from(await fork.feed([id]));
    session.close();
    fork.close();
    expect(largestDifference(whole, last)).toBeLessThan(2e-4);
  });
});

describe.each(TEST_EXECUTORS)("phi3-longrope on %s", (kind) => {
  test("a session crosses into the long factors and back as if fed at once, and gives the golden tokens", async () => {
    const checkpoint = await openCheckpoint(LONGROPE);
    const executor = await executorsOf(kind, "resident")(checkpoint);
    const rope = checkpoint.spec.blocks[0].attention?.rope?.scaling;
    if (rope?.kind !== "longrope") throw new Error("not a longrope model");
    const short = rope.originalMaxPositions;
    const ids = Array.from({ length: short + 3 }, (_, i) => (7 * i + 3) % checkpoint.spec.vocabSize);
    const options = { contextTokens: checkpoint.spec.maxPositions, kvType: "f32" } as const;
    const stepwise = new Session(executor, options);
    const atOnce = new Session(executor, options);
    const shortLogits = Float32Array.from(await stepwise.feed(ids.slice(0, short)));
    for (const id of ids.slice(short, -1)) await stepwise.feed([id]);
    const crossed = await stepwise.feed(ids.slice(-1));
    expect(largestDifference(crossed, await atOnce.feed(ids))).toBeLessThan(2e-4);
    stepwise.truncate(short - 1);
    expect(largestDifference(await stepwise.feed([ids[short - 1]]), shortLogits)).toBeLessThan(2e-4);

    const golden: Golden = JSON.parse(readFileSync(path.join(LONGROPE, "golden.json"), "utf8"));
    stepwise.truncate(0);
    const chosen = [mostLikely(await stepwise.feed(golden.greedy.prompt))];
    while (chosen.length < golden.greedy.continuation.length) {
      chosen.push(mostLikely(await stepwise.feed(chosen.slice(-1))));
    }
    expect(chosen).toEqual(golden.greedy.continuation);
    stepwise.close();
    atOnce.close();
    await executor.dispose();
    await checkpoint.close();
  });
});
