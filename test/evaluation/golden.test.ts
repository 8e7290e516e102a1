import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { evaluate } from "../../src/evaluation/evaluate.ts";
import { separateWindows } from "../../src/evaluation/windows.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { loadTokenizer } from "../../src/model/tokenizer.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";

const shared = path.resolve("../shared");
const stories = path.join(shared, "corpora/tinystories/tinystories_val_794k.txt");
const hasShared = existsSync(stories) && existsSync(path.join(shared, "models"));
if (!hasShared) console.log("skipped: ../shared/models or ../shared/corpora/tinystories is absent");

const Golden = z.object({
  input_ids: z.array(z.array(z.number())),
  mean_nll: z.number(),
  corpus_ppl: z.object({ texts: z.number(), scored_tokens: z.number(), mean_nll: z.number(), ppl: z.number() }),
});

/** The texts of `corpus_ppl`, as the golden's `how` says. */
function corpusTexts(count: number): string[] {
  const start = "Once upon a time";
  const pieces = readFileSync(stories, "utf8")
    .split(`\n\n${start}`)
    .slice(1, count + 1);
  return pieces.map((piece) => `${start}${piece}`.trim().slice(0, 900));
}

const MODELS = ["stories260k", "neox-tiny", "tinystories-656k"];

describe.skipIf(!hasShared).each(MODELS)("perplexity of %s", (name) => {
  // tfjs needs tens of seconds for the larger two, and its logits have goldens of their own.
  const executors = TEST_EXECUTORS.filter((kind, i) => kind === "native" || i === 0 || name === "tinystories-656k");
  it.each(executors)("agrees with the golden on %s: one sequence and a corpus", async (kind) => {
    const folder = path.join(shared, "models", name);
    const golden = Golden.parse(JSON.parse(readFileSync(path.join(folder, "golden.json"), "utf8")));
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
