import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { DecodeBase } from "../../../src/decoding/drafters/drafter.ts";
import { PLAIN } from "../../../src/decoding/drafters/index.ts";
import { createSampler, type SamplerOptions } from "../../../src/decoding/sampler.ts";
import { Session } from "../../../src/decoding/session.ts";
import type { DecodedToken, DecoderParts, TokenDecoder } from "../../../src/decoding/speculative/decoder.ts";
import type { AnyExecutor } from "../../../src/runtime/executor.ts";
import { EXECUTOR_KINDS, EXECUTORS } from "../../../src/runtime/executors.ts";
import { randomSource, smallSpec } from "../../runtime/random-model.ts";
import { TEST_EXECUTORS } from "../../runtime/test-executors.ts";
import { openExecutor } from "../speculative/exit-cases.ts";
import { PROMPT_LOOKUP } from "./prompt-lookup.ts";

/** Says the same over and over, so that lookups find something. */
const PROMPT = [5, 9, 1, 5, 9, 1, 5, 9];
const EXACT = TEST_EXECUTORS.filter((kind) => EXECUTORS[kind].traits.rowExact);
const KIND = EXACT[0] ?? EXECUTOR_KINDS[EXECUTOR_KINDS.length - 1];

describe("a drafter written from outside, as the guide has it", () => {
  let executor: AnyExecutor;
  beforeAll(async () => {
    executor = await openExecutor(randomSource(smallSpec({ blocks: 2 }), 4), KIND);
  });
  afterAll(() => executor?.dispose());

  async function decode(
    drafter: { create(parts: DecoderParts, options: DecodeBase): TokenDecoder },
    kind: string,
    sampling: Partial<SamplerOptions>,
  ) {
    using session = new Session(executor, { contextTokens: 120, kvType: "f32" });
    const history = [...PROMPT];
    const sampler = createSampler(sampling);
    const draws = (sampling.temperature ?? 0) > 0;
    const parts = { session, sampler, sampling, draws, history, now: () => 0 };
    const options = { kind, draftLimit: 6 };
    const decoder: TokenDecoder = drafter.create(parts, options);
    const tokens: DecodedToken[] = [await decoder.first(PROMPT, {})];
    while (tokens.length < 60) {
      tokens.push(...(await decoder.next({ tokens: 60 - tokens.length, ends: () => false })));
    }
    expect(session.length).toBe(PROMPT.length + 59);
    return { ids: tokens.map(({ id }) => id), statistics: decoder.statistics };
  }

  it.each([{}, { temperature: 0.7, seed: 3 }])(
    "says what plain decoding says with %o, in fewer passes",
    async (sampling) => {
      const plain = await decode(PLAIN, PLAIN.kind, sampling);
      const looked = await decode(PROMPT_LOOKUP, PROMPT_LOOKUP.kind, sampling);
      if (EXACT.length > 0) expect(looked.ids).toEqual(plain.ids);
      const { drafted, accepted, wasted, sharedPasses } = looked.statistics;
      expect(drafted).toBeGreaterThan(0);
      expect(accepted + wasted).toBe(drafted);
      expect(sharedPasses).toBeGreaterThan(0);
    },
  );
});
