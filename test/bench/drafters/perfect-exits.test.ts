import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { perfectUse } from "../../../src/bench/drafters/perfect-exits.ts";
import { fixedExit } from "../../../src/decoding/drafters/dssd/variants.ts";
import type { ExitSet } from "../../../src/decoding/exits/exit-set.ts";
import { generate } from "../../../src/decoding/generate.ts";
import { Session } from "../../../src/decoding/session.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { LETTERS } from "../../decoding/scripted-executor.ts";
import { loadExits, openExecutor, quietSource } from "../../decoding/speculative/exit-cases.ts";
import { HAS_ADDON } from "../../runtime/native/addon-state.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";

const PROMPT = Int32Array.of(5, 9, 1, 30);
const TOKENS = 24;

describe("what perfect exits would do", () => {
  let executor: AnyExecutor;
  let exits: ExitSet;

  beforeAll(async () => {
    const source = quietSource(randomSource(smallSpec({ blocks: 4 }), 3));
    executor = await openExecutor(source, HAS_ADDON ? "native" : "tfjs");
    exits = await loadExits(executor, source, { seed: 2 });
  });
  afterAll(() => executor.dispose());

  const textBy = async (set: ExitSet | null, draftLimit = 4) => {
    const session = new Session(executor, { contextTokens: 64, kvType: "f32" });
    const decode = set
      ? ({ kind: "dssd", exits: set, epsilon: 0, draftLimit, adapt: false } as const)
      : ({ kind: "plain" } as const);
    const pieces = generate(session, LETTERS, PROMPT, { maxTokens: TOKENS, ignoreEos: true, decode });
    for (;;) {
      const step = await pieces.next();
      if (!step.done) continue;
      session.close();
      return step.value;
    }
  };

  test("no fixed exit has more drafts taken, whatever its length", async () => {
    const { ids } = await textBy(null);
    const all = await perfectUse(executor, exits, { texts: [{ prompt: PROMPT, ids }], draftLimit: 32 });
    expect(all.tokens).toBe(TOKENS - 1);
    expect(all.rounds + all.drafted).toBe(all.tokens);
    expect(all.accepted).toBe(all.drafted);
    expect(all.exitShares.reduce((sum, share) => sum + share, 0)).toBeCloseTo(1, 9);
    for (const exit of exits.exits.keys()) {
      const { decoding } = await textBy(fixedExit(exits, exit), 32);
      expect(decoding.accepted).toBeLessThanOrEqual(all.accepted);
      // One draft a round: whether it is taken is whether the exit is right there.
      const one = await textBy(fixedExit(exits, exit), 1);
      const only = { ...exits, exits: [exits.exits[exit]], levels: [{ epsilon: 0, thresholds: [0] }] };
      const perfect = await perfectUse(executor, only, { texts: [{ prompt: PROMPT, ids }], draftLimit: 1 });
      expect(perfect.drafted).toBeGreaterThanOrEqual(one.decoding.accepted);
    }
  });

  test("a text of one token has nothing to draft", async () => {
    const use = await perfectUse(executor, exits, { texts: [{ prompt: PROMPT, ids: [3] }], draftLimit: 4 });
    expect(use).toMatchObject({ tokens: 0, rounds: 0, drafted: 0 });
  });
});
