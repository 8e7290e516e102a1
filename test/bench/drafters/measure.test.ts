import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DraftCosts } from "../../../src/bench/drafters/cost-model.ts";
import { type DraftingModel, measureDrafters } from "../../../src/bench/drafters/measure.ts";
import { measureDraftCosts } from "../../../src/bench/drafters/measure-costs.ts";
import { drafterSetups } from "../../../src/bench/drafters/setups.ts";
import { summarizeDrafters } from "../../../src/bench/drafters/summarize.ts";
import type { ExitSet } from "../../../src/decoding/exits/exit-set.ts";
import { Session } from "../../../src/decoding/session.ts";
import type { Progress } from "../../../src/progress.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { LETTERS } from "../../decoding/scripted-executor.ts";
import { loadExits, NEVER, openExecutor, quietSource } from "../../decoding/speculative/exit-cases.ts";
import { HAS_ADDON, needsAddon } from "../../runtime/native/addon-state.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";

const CONTEXT = 96;
const BLOCKS = 4;
const TOKENS = 14;
const PROMPTS = [[5, 9, 1, 30], [7], [2, 2, 8]].map((ids) => Int32Array.from(ids));

describe.skipIf(!HAS_ADDON)(needsAddon("drafters on a random model"), () => {
  let executor: AnyExecutor;
  let exits: ExitSet;
  let model: DraftingModel;

  beforeAll(async () => {
    const source = quietSource(randomSource(smallSpec({ blocks: BLOCKS }), 3));
    executor = await openExecutor(source, "native");
    exits = await loadExits(executor, source, { seed: 2 });
    const createSession = () => new Session(executor, { contextTokens: CONTEXT, kvType: "f32" });
    model = { tokenizer: { ...LETTERS, eosTokens: [] }, contextTokens: CONTEXT, createSession };
  });
  afterAll(() => executor?.dispose());

  test("every way to draft gives plain decoding's text; a fixed exit drafts as many as it was told", async () => {
    const progress: Progress[] = [];
    const setups = await drafterSetups(exits, executor.spec, {
      draftLengths: [1, 4],
      epsilons: null,
      draftLimits: [3],
    });
    const options = { prompts: PROMPTS, generateTokens: TOKENS, onProgress: (one: Progress) => progress.push(one) };
    const measured = await measureDrafters(model, setups, options);
    const costs = await measureDraftCosts(executor, exits, {
      position: 20,
      contextTokens: CONTEXT,
      kvType: "f32",
      repeats: 1,
    });
    expect(DraftCosts.parse(costs).stages.map((stage) => stage.map(({ rows }) => rows))).toEqual(
      Array.from({ length: BLOCKS }, () => [1, 2, 3, 5, 9, 13, 17]),
    );
    expect(costs.exits.map(({ blocks }) => blocks)).toEqual([1, 2, 3]);
    const rows = summarizeDrafters(measured, costs, BLOCKS);
    expect(rows.map(({ name }) => name)).toEqual(["plain", ...setups.map(({ name }) => name)]);
    expect(rows.every(({ exact, tokens }, i) => exact && (i === 0 || tokens === TOKENS * PROMPTS.length))).toBe(true);
    for (const row of rows.filter(({ kind }) => kind === "fixed")) {
      expect(row.drafted).toBeGreaterThan(0);
      const length = row.draftLimit ?? 0;
      expect(row.drafted).toBeLessThanOrEqual(row.rounds * length);
      // Only where no more than so many tokens are left of a text are fewer drafts wanted.
      expect(row.drafted).toBeGreaterThanOrEqual((row.rounds - PROMPTS.length * length) * length);
      expect(row.accepted + row.rounds).toBe((TOKENS - 1) * PROMPTS.length);
    }
    const never = rows.filter(({ kind, epsilon }) => kind === "dssd" && epsilon === NEVER);
    expect(never).toMatchObject([{ drafted: 0, wastedShare: null, meanBlocks: BLOCKS }]);
    expect(rows.some(({ kind, accepted }) => kind === "dssd" && accepted > 0)).toBe(true);
    expect(progress.at(-1)).toMatchObject({
      done: PROMPTS.length * setups.length,
      total: PROMPTS.length * setups.length,
    });
  });

  test("goes in turns with plain decoding", async () => {
    const clock = { ms: 0 };
    const setups = await drafterSetups(exits, executor.spec, {
      draftLengths: [1, 2, 3],
      epsilons: [NEVER],
      draftLimits: [3],
    });
    const now = () => clock.ms++;
    const measured = await measureDrafters(model, setups, { prompts: PROMPTS, generateTokens: 8, now });
    for (const { pairs } of measured) expect(pairs).toHaveLength(PROMPTS.length);
    const plains = new Set(measured.flatMap(({ pairs }) => pairs.map(({ plain }) => plain)));
    expect(plains.size).toBe(PROMPTS.length * Math.ceil(setups.length / 3));
  });

  test.each([
    [{ generateTokens: 1 }, "generate-tokens: expected a whole number from 2 up, found 1"],
    [{ prompts: [] }, "prompts: expected at least one, found none"],
    [{ generateTokens: 93 }, "4 prompt and 93 generated tokens: the context is 96 tokens"],
  ])("refuses %o", async (change, message) => {
    const options = { prompts: PROMPTS, generateTokens: 8, ...change };
    await expect(measureDrafters(model, [], options)).rejects.toThrow(message);
  });

  test("stops at once when told to", async () => {
    const signal = AbortSignal.abort();
    const setups = await drafterSetups(exits, executor.spec, { draftLengths: [1], epsilons: [], draftLimits: [] });
    const aborted = measureDrafters(model, setups, { prompts: PROMPTS, generateTokens: 8, signal });
    await expect(aborted).rejects.toMatchObject({ name: "Interrupted" });
  });
});
