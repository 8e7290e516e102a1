import { afterAll, beforeAll, expect, test } from "vitest";
import { checkLossless } from "../../../src/bench/drafters/lossless.ts";
import type { DraftingModel } from "../../../src/bench/drafters/measure.ts";
import { type DrafterSetup, drafterSetups } from "../../../src/bench/drafters/setups.ts";
import type { ExitSet } from "../../../src/decoding/exits/exit-set.ts";
import { Session } from "../../../src/decoding/session.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { LETTERS } from "../../decoding/scripted-executor.ts";
import { ALWAYS, loadExits, NEVER, openExecutor, quietSource } from "../../decoding/speculative/exit-cases.ts";
import { HAS_ADDON, needsAddon } from "../../runtime/native/addon-state.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";

const OPTIONS = { prompts: [[3, 1], [9]].map((ids) => Int32Array.from(ids)), generateTokens: 12, ignoreEos: true };

let executor: AnyExecutor;
let exits: ExitSet;
let model: DraftingModel;

beforeAll(async () => {
  const source = quietSource(randomSource(smallSpec({ blocks: 3 }), 3));
  executor = await openExecutor(source, HAS_ADDON ? "native" : "tfjs");
  exits = await loadExits(executor, source, { seed: 2 });
  const createSession = () => new Session(executor, { contextTokens: 64, kvType: "f32" });
  model = { tokenizer: LETTERS, contextTokens: 64, createSession };
});
afterAll(() => executor.dispose());

test.skipIf(!HAS_ADDON)(needsAddon("DSSD gives plain decoding's tokens, all of which are compared"), async () => {
  const sweep = { draftLengths: [], epsilons: [ALWAYS, NEVER], draftLimits: [4] };
  const setups = (await drafterSetups(exits, executor.spec, sweep)).slice(0, 2);
  const checks = await checkLossless(model, setups, OPTIONS);
  expect(checks.map(({ prompts, tokens, differences }) => ({ prompts, tokens, differences }))).toEqual(
    setups.map(() => ({ prompts: 2, tokens: 24, differences: [] })),
  );
  expect(checks[0].accepted).toBeGreaterThan(0);
  expect(checks[1].drafted).toBe(0);
});

test("early exits that answer always leave plain decoding's text, which is seen with the gap there", async () => {
  const decode = { kind: "early-exit", exits, epsilon: ALWAYS } as const;
  const setup: DrafterSetup = { kind: "dssd", name: "early", exit: null, epsilon: ALWAYS, draftLimit: null, decode };
  const random = {
    ...setup,
    decode: {
      ...decode,
      exits: await loadExits(executor, randomSource(smallSpec({ blocks: 3 }), 8), { heads: "random", seed: 4 }),
    },
  };
  const [{ differences, tokens }] = await checkLossless(model, [random], OPTIONS);
  expect(differences).toHaveLength(2);
  expect(tokens).toBe(differences.reduce((sum, { position }) => sum + position, 0));
  for (const { prompt, position, gap } of differences) {
    expect(gap).toBeGreaterThan(0);
    const session = model.createSession();
    const text: number[] = [...OPTIONS.prompts[prompt]];
    let logits = await session.feed(text);
    for (let i = 0; i < position; i++) {
      const sorted = [...logits].sort((a, b) => b - a);
      text.push(logits.indexOf(sorted[0]));
      logits = await session.feed(text.slice(-1));
    }
    const [first, second] = [...logits].sort((a, b) => b - a);
    expect(gap).toBeCloseTo(first - second, 4);
    session.close();
  }
});
