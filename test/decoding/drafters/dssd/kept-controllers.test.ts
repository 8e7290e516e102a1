import { expect, it } from "vitest";
import { KeptControllers } from "../../../../src/decoding/drafters/dssd/kept-controllers.ts";
import type { ExitSet } from "../../../../src/decoding/exits/exit-set.ts";
import type { Generation } from "../../../../src/decoding/generate.ts";
import { generate } from "../../../../src/decoding/generate.ts";
import { Session } from "../../../../src/decoding/session.ts";
import { randomSource, smallSpec } from "../../../runtime/random-model.ts";
import { LETTERS } from "../../scripted-executor.ts";
import { ALWAYS, loadExits, NEVER, openExecutor, quietSource } from "../../speculative/exit-cases.ts";

const SET: ExitSet = { exits: [], ids: null, confidence: "entropy", levels: [{ epsilon: 0.8, thresholds: [] }] };

it("keeps a controller for the same exits and use, and no other", () => {
  const kept = new KeptControllers();
  const use = { start: { level: 0, firstExit: 0, draftLimit: 8 }, draws: false };
  const now = () => 0;
  const first = kept.of(SET, use, now);
  expect(kept.of(SET, { ...use, start: { ...use.start } }, now)).toBe(first);
  // Made anew of the same table.
  expect(kept.of({ ...SET }, use, now)).toBe(first);
  const others = [
    kept.of({ ...SET, levels: [...SET.levels] }, use, now),
    kept.of(SET, { ...use, draws: true }, now),
    kept.of(SET, { ...use, start: { ...use.start, draftLimit: 4 } }, now),
    kept.of(SET, { ...use, start: { ...use.start, level: 1 } }, now),
    kept.of(SET, { ...use, start: { ...use.start, firstExit: 1 } }, now),
  ];
  expect(new Set([first, ...others]).size).toBe(6);
  // What was used before is not kept.
  expect(kept.of(SET, use, now)).not.toBe(first);
});

it("a session's later texts start from what its first one learned", async () => {
  const source = quietSource(randomSource(smallSpec({ blocks: 4 }), 3));
  const executor = await openExecutor(source, "tfjs");
  const exits = await loadExits(executor, source);
  const session = new Session(executor, { contextTokens: 200, kvType: "f32" });
  // Every round takes a millisecond, so that more tokens a round are cheaper.
  let clock = 0;
  const now = () => clock++;
  const next = async (epsilon: number): Promise<Generation["decoding"]> => {
    const decode = { kind: "dssd", exits, epsilon } as const;
    const prompt = session.length === 0 ? [5, 9, 1] : [7];
    const pieces = generate(session, LETTERS, prompt, { maxTokens: 20, ignoreEos: true, decode, now });
    for (;;) {
      const step = await pieces.next();
      if (step.done) return step.value.decoding;
    }
  };
  const first = await next(ALWAYS);
  expect(first.plainRounds).toBeGreaterThanOrEqual(4);
  expect(first.accepted).toBeGreaterThan(0);
  expect((await next(ALWAYS)).plainRounds).toBe(0);
  // Another level is compared with plain decoding anew.
  expect((await next(NEVER)).plainRounds).toBeGreaterThanOrEqual(4);
  session.close();
  await executor.dispose();
});
