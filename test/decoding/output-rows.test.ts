import { describe, expect, it } from "vitest";
import { chooseAfter, OutputRows, wantedBy } from "../../src/decoding/output-rows.ts";
import { createSampler, mostLikely } from "../../src/decoding/sampler.ts";
import { HAS_ADDON, needsAddon } from "../runtime/native/addon-state.ts";
import { randomSource, smallSpec } from "../runtime/random-model.ts";
import { openExecutor } from "./speculative/exit-cases.ts";

const IDS = Int32Array.of(5, 9, 1, 30, 2, 2);

/** Most likely ids of rows [from, to), found in the logits and as the rows say, and the rows. */
async function compare(kind: "native" | "tfjs", wanted: "best" | "logits", ranges: readonly [number, number][]) {
  const source = randomSource(smallSpec({ blocks: 2 }));
  const executor = await openExecutor(source, kind);
  const output = new OutputRows(executor);
  const embedded = await executor.embed(IDS);
  const found: number[] = [];
  const expected: number[] = [];
  for (const [from, to] of ranges) {
    const span = { cache: null, position: 0, count: IDS.length };
    const hidden = await executor.runBlocks(embedded, 0, 2, [span], output.ask(from, to, wanted));
    for (let row = from; row < to; row++) {
      found.push(output.best(row - from));
      expected.push(mostLikely(await executor.logits(hidden, Int32Array.of(row))));
    }
    executor.release(hidden);
  }
  executor.release(embedded);
  return { found, expected, output, close: () => executor.dispose() };
}

const RANGES: readonly [number, number][] = [
  [5, 6],
  [0, 6],
  [2, 4],
];

describe("the output head's rows", () => {
  it.each(["best", "logits"] as const)("say the most likely ids on tfjs, by %s", async (wanted) => {
    const { found, expected, output, close } = await compare("tfjs", wanted, RANGES);
    expect(found).toEqual(expected);
    expect(mostLikely(output.logits(1))).toBe(found.at(-1));
    await close();
  });

  it.skipIf(!HAS_ADDON)(needsAddon("say the most likely ids on native, without logits"), async () => {
    for (const wanted of ["best", "logits"] as const) {
      const { found, expected, output, close } = await compare("native", wanted, RANGES);
      expect(found).toEqual(expected);
      expect(new Set(found).size).toBeGreaterThan(1);
      if (wanted === "best") expect(() => output.logits(0)).toThrow("not asked for");
      else expect(mostLikely(output.logits(1))).toBe(found.at(-1));
      await close();
    }
  });
});

it("asks for no more than the sampler needs", () => {
  const output = { best: (row: number) => 10 + row, logits: () => Float32Array.of(1, 3, 2) };
  const greedy = createSampler({ temperature: 2, topK: 1 });
  expect([wantedBy(greedy), chooseAfter(output, 4, greedy, [])]).toEqual(["best", 14]);
  for (const options of [{ repetitionPenalty: 1.1 }, { temperature: 1 }]) {
    expect(wantedBy(createSampler(options))).toBe("logits");
  }
  const penalised = createSampler({ repetitionPenalty: 10 });
  expect(chooseAfter(output, 4, penalised, [1])).toBe(2);
});
