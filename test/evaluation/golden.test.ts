import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { evaluate } from "../../src/evaluation/evaluate.ts";
import { separateWindows } from "../../src/evaluation/windows.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { loadTokenizer } from "../../src/model/tokenizer.ts";
import { modelCases } from "../runtime/goldens.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";

const Golden = z.object({
  input_ids: z.array(z.array(z.number())),
  mean_nll: z.number(),
  corpus_ppl: z.object({ texts: z.number(), scored_tokens: z.number(), mean_nll: z.number(), ppl: z.number() }),
});

/** The texts of `corpus_ppl`, as the golden's `how` says; the text that ships begins with one of them. */
function corpusTexts(count: number): string[] {
  const start = "Once upon a time";
  const pieces = `\n\n${readFileSync("calibration-data/tinystories-heldout.txt", "utf8")}`
    .split(`\n\n${start}`)
    .slice(1, count + 1);
  return pieces.map((piece) => `${start}${piece}`.trim().slice(0, 900));
}

describe.each(modelCases())("perplexity of $name", ({ name, folder, golden: goldenFile }) => {
  // tfjs needs tens of seconds for the larger one, and its logits have goldens of their own.
  const executors = TEST_EXECUTORS.filter((kind, i) => kind === "native" || i === 0 || name !== "neox-tiny");
  it.each(executors)("agrees with the golden on %s: one sequence and a corpus", async (kind) => {
    const golden = Golden.parse(JSON.parse(readFileSync(goldenFile, "utf8")));
    const tokenizer = await loadTokenizer(folder);
    const source = await openCheckpoint(folder);
    const executor = await executorsOf(kind, "resident")(source);

    const sequence = separateWindows([Int32Array.from(golden.input_ids[0])]);
    const one = await evaluate({ executor, windows: sequence });
    expect(one.model.meanNll).toBeCloseTo(golden.mean_nll, 5);

    const expected = golden.corpus_ppl;
    const texts = corpusTexts(expected.texts).map((text) => tokenizer.encode(text).slice(0, source.spec.maxPositions));
    const corpus = await evaluate({ executor, windows: separateWindows(texts) });
    expect(corpus.scoredTokens).toBe(expected.scored_tokens);
    expect(corpus.model.meanNll).toBeCloseTo(expected.mean_nll, 5);
    expect(corpus.model.perplexity / expected.ppl).toBeCloseTo(1, 5);

    await executor.dispose();
    await source.close();
  });
});
