import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ExitSet } from "../../../src/decoding/exits/exit-set.ts";
import type { Generation } from "../../../src/decoding/generate.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { NativeExecutor } from "../../../src/runtime/native/executor.ts";
import { HAS_ADDON, needsAddon } from "../../runtime/native/addon-state.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { LETTERS } from "../scripted-executor.ts";
import { ALWAYS, continueWith, dssd, loadExits, openExecutor, quietSource, SOMETIMES } from "./exit-cases.ts";

const PROMPT = [5, 9, 1, 30];
const PLAIN = { kind: "plain" } as const;

describe.skipIf(!HAS_ADDON)(needsAddon("DSSD ends as plain decoding does"), () => {
  let executor: AnyExecutor;
  let exits: ExitSet;
  let plain: Generation;

  beforeAll(async () => {
    const source = quietSource(randomSource(smallSpec({ blocks: 4 }), 3));
    executor = await openExecutor(source, "native");
    exits = await loadExits(executor, source, { seed: 2 });
    const { generation, session } = await continueWith(executor, PROMPT, PLAIN);
    plain = generation;
    session.close();
  });
  afterAll(() => executor?.dispose());

  type Options = NonNullable<Parameters<typeof continueWith>[3]>;

  /** Same text, same reason, and a session that holds and says the same; gives the drafts that were taken. */
  async function expectSame(options: Options): Promise<number> {
    let accepted = 0;
    const expected = await continueWith(executor, PROMPT, PLAIN, options);
    const next = Float32Array.from(await expected.session.feed([7]));
    for (const epsilon of [SOMETIMES, ALWAYS]) {
      const found = await continueWith(executor, PROMPT, dssd(exits, epsilon, 5), options);
      const { ids, text, reason, stop } = expected.generation;
      expect(found.generation).toMatchObject({ ids, text, reason, stop });
      expect(found.session.ids).toEqual(expected.session.ids.slice(0, -1));
      executor.spec.blocks.forEach((_, block) => {
        expect(found.session.kvCache.length(block)).toBe(found.session.length);
      });
      expect(await found.session.feed([7])).toEqual(next);
      accepted += found.generation.decoding.accepted;
      found.session.close();
    }
    expected.session.close();
    return accepted;
  }

  it("at an end-of-sequence token, wherever it comes, which may be a draft", async () => {
    const ends = [...new Set(plain.ids)];
    let accepted = 0;
    for (const end of ends) {
      accepted += await expectSame({ tokenizer: { ...LETTERS, eosTokens: [end] }, ignoreEos: false });
    }
    expect(accepted).toBeGreaterThan(0);
  });

  it("at a stop string within a round", async () => {
    for (let at = 1; at < plain.ids.length; at += 3) {
      await expectSame({ stop: [String.fromCharCode(...plain.ids.slice(at, at + 2))] });
    }
  });

  it("at the wanted length and at the end of the context", async () => {
    for (const room of [1, 2, 3, 7]) {
      await expectSame({ maxTokens: room });
      if (room > 1) {
        const full = { maxTokens: null, contextTokens: PROMPT.length + room };
        const expected = await continueWith(executor, PROMPT, PLAIN, full);
        const found = await continueWith(executor, PROMPT, dssd(exits, ALWAYS, 5), full);
        expect(found.generation).toMatchObject({ reason: "context", ids: expected.generation.ids });
        expect(found.session.ids).toEqual(expected.session.ids);
        expected.session.close();
        found.session.close();
      }
    }
  });

  it("with a penalty on what was said before", async () => {
    expect(await expectSame({ sampler: { repetitionPenalty: 1.05 } })).toBeGreaterThan(0);
  });

  it("draws the same tokens from the same seed, however long rounds take", async () => {
    const texts: (readonly number[])[] = [];
    for (const pace of [1, 1000]) {
      let clock = 0;
      const now = () => {
        clock += pace * (1 + (clock % 7));
        return clock;
      };
      const decode = { kind: "dssd", exits, epsilon: SOMETIMES } as const;
      const options = { sampler: { temperature: 0.8, seed: 5 }, now };
      const { generation, session } = await continueWith(executor, PROMPT, decode, options);
      expect(generation.decoding.drafted).toBeGreaterThan(0);
      // None but a last token, which no draft could follow.
      expect(generation.decoding.plainRounds).toBeLessThanOrEqual(1);
      texts.push(generation.ids);
      session.close();
    }
    expect(texts[1]).toEqual(texts[0]);
  });

  it.each(["dssd", "early-exit"] as const)(
    "stopped in the middle of a pass, %s leaves a session that goes on",
    async (kind) => {
      for (let stopAt = 2; stopAt < 14; stopAt += 3) {
        const aborter = new AbortController();
        let passes = 0;
        const stopping: AnyExecutor = Object.create(executor, {
          runBlocks: {
            value: (...call: Parameters<AnyExecutor["runBlocks"]>) => {
              if (++passes === stopAt) aborter.abort();
              return executor.runBlocks(...call);
            },
          },
        });
        const decode = kind === "dssd" ? dssd(exits, SOMETIMES, 5) : ({ kind, exits, epsilon: SOMETIMES } as const);
        const { generation, session } = await continueWith(stopping, PROMPT, decode, { signal: aborter.signal });
        expect(generation.reason).toBe("aborted");
        expect(session.ids).toEqual([...PROMPT, ...generation.ids].slice(0, PROMPT.length + generation.ids.length - 1));
        const fresh = await continueWith(executor, [...PROMPT, ...generation.ids], PLAIN, { maxTokens: 1 });
        const rest = [...PROMPT, ...generation.ids].slice(session.length);
        const logits = await session.feed(rest);
        expect(logits.indexOf(Math.max(...logits))).toBe(fresh.generation.ids[0]);
        session.close();
        fresh.session.close();
      }
    },
  );

  it("leaves no hidden state behind, whatever ended it", async () => {
    const { session } = await continueWith(executor, PROMPT, dssd(exits, ALWAYS, 5), { maxTokens: 9 });
    session.close();
    // Of all texts above too.
    expect(executor).toBeInstanceOf(NativeExecutor);
    expect(executor).toHaveProperty("liveHidden", 0);
  });

  it("refuses an epsilon that nothing was calibrated for, and draft limits out of range", async () => {
    const refused = { code: "EPSILON", message: "epsilon: expected a number from 0 to 0.99, found 1" };
    await expect(continueWith(executor, PROMPT, dssd(exits, 1, 5))).rejects.toMatchObject(refused);
    for (const limit of [0, 1.5, 33]) {
      await expect(continueWith(executor, PROMPT, dssd(exits, 0.9, limit))).rejects.toThrow(`found ${limit}`);
    }
  });
});
