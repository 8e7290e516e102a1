import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { generate } from "../../src/decoding/generate.ts";
import { type OpenModel, openModel } from "../../src/decoding/open-model.ts";

const MODELS = path.resolve("../shared/models");

interface Golden {
  readonly greedy: { readonly prompt: number[]; readonly continuation: number[] };
  readonly text: { readonly greedy_text: string };
}

describe.skipIf(!existsSync(MODELS)).each(["stories260k", "neox-tiny"])("%s from ../shared/models", (name) => {
  const folder = path.join(MODELS, name);
  let golden: Golden;
  let model: OpenModel;

  beforeAll(async () => {
    golden = JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8"));
    model = await openModel(folder);
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
    const difference = whole.reduce((most, value, i) => Math.max(most, Math.abs(value - last[i])), 0);
    expect(difference).toBeLessThan(2e-4);
  });
});
