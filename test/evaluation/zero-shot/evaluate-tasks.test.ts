import { describe, expect, it } from "vitest";
import { evaluateTasks, summarizeTask } from "../../../src/evaluation/zero-shot/evaluate-tasks.ts";
import { answer } from "../../../src/evaluation/zero-shot/task.ts";
import { TASKS } from "../../../src/evaluation/zero-shot/tasks/index.ts";
import { tokenizeExample } from "../../../src/evaluation/zero-shot/tokenize.ts";
import { ZeroShotResult } from "../../../src/evaluation/zero-shot/zero-shot-result.ts";
import type { Tokenizer } from "../../../src/model/tokenizer.ts";
import { wordTokenizer } from "../../calibration/word-tokenizer.ts";
import { type BigramLog, bigramExecutor } from "./bigram-executor.ts";

/** Every character is a token, but " t" is one: what follows a space matters. */
function characterTokenizer(): Tokenizer {
  const ids = (text: string) => (text.match(/ t|./gs) ?? []).map((part) => (part === " t" ? 1 : part.charCodeAt(0)));
  return { ...wordTokenizer(), eosToken: 9, encode: (text) => Int32Array.from(ids(text)) };
}

const scored = (logLikelihood: number, greedy = false) => ({ logLikelihood, greedy });

describe("summarizeTask", () => {
  it("chooses by likelihood, and by likelihood a byte of the answer", () => {
    const choices = [answer("q", "ab"), answer("q", "abcdefgh")];
    const examples = [0, 1, 1, 0].map((gold) => ({ choices, gold }));
    // -2 against -4: the first; a byte -1 against -0.5: the second.
    const scores = examples.map(() => [scored(-2), scored(-4)]);
    const result = summarizeTask({ kind: "choose", normalised: true }, examples, scores);
    expect(result.accuracy.value).toBe(0.5);
    // Standard deviation of 1, 0, 0, 1 over n - 1, by the root of n
    expect(result.accuracy.error).toBeCloseTo(Math.sqrt(1 / 3) / 2, 12);
    expect(result.accuracyNorm?.value).toBe(0.5);
    const leaning = summarizeTask({ kind: "choose", normalised: true }, examples.slice(1, 3), scores.slice(1, 3));
    expect([leaning.accuracy.value, leaning.accuracyNorm?.value]).toEqual([0, 1]);
    expect(summarizeTask({ kind: "choose", normalised: false }, examples, scores).accuracyNorm).toBeNull();
  });

  it("takes the first of equal choices", () => {
    const examples = [{ choices: [answer("q", "a"), answer("q", "b")], gold: 0 }];
    const result = summarizeTask({ kind: "choose", normalised: true }, examples, [[scored(-3), scored(-3)]]);
    expect(result.accuracy).toEqual({ value: 1, error: 0 });
  });

  it("gives LAMBADA's accuracy by greedy decoding, and the perplexity of its last word", () => {
    const examples = [0, 0].map((gold) => ({ choices: [answer("q", "a")], gold }));
    const scores = [[scored(-Math.log(2), true)], [scored(-Math.log(8))]];
    const result = summarizeTask(TASKS.lambada, examples, scores);
    expect(result.accuracy.value).toBe(0.5);
    expect(result.perplexity?.value).toBeCloseTo(4, 12);
    expect(result.perplexity?.error).toBeCloseTo(4 * Math.LN2, 12);
  });
});

describe("tokenizeExample", () => {
  const tokenizer = characterTokenizer();
  const tokenize = (context: string, text: string, beginning: number[] = [], maxTokens = 100) => {
    const example = { choices: [{ ...answer(context, text), continuation: text }], gold: 0 };
    const [{ ids, firstTarget }] = tokenizeExample(tokenizer, example, { beginning, maxTokens });
    return { ids: [...ids], firstTarget };
  };

  it("gives spaces at the end of the context to the continuation", () => {
    expect(tokenize("a ", "t")).toEqual({ ids: [97, 1], firstTarget: 1 });
    expect(tokenize("a", " t")).toEqual({ ids: [97, 1], firstTarget: 1 });
    expect(tokenize("a", " b")).toEqual({ ids: [97, 32, 98], firstTarget: 1 });
  });

  it("puts BOS first, and where the context is empty something, so that every id has one before it", () => {
    expect(tokenize("a", "b", [5])).toEqual({ ids: [5, 97, 98], firstTarget: 2 });
    expect(tokenize("", "b")).toEqual({ ids: [9, 98], firstTarget: 1 });
  });

  it("drops the beginning of what is too long: the last id is no input", () => {
    expect(tokenize("abcdef", "gh", [], 3)).toEqual({ ids: [101, 102, 103, 104], firstTarget: 2 });
    expect(tokenize("a", "bcdef", [], 3)).toEqual({ ids: [99, 100, 101, 102], firstTarget: 1 });
  });
});

describe("evaluateTasks", () => {
  it("gives a result of the schema, task by task, with progress", async () => {
    // Ids in order of appearance: 2 x, 3 y, 4 z, 5 w. After "x y": row (2 + 3) mod 6.
    const tokenizer = wordTokenizer();
    tokenizer.encode("x y z w");
    const uniform = Array.from({ length: 6 }, () => 1 / 6);
    const table = [uniform, uniform, uniform, uniform, uniform, [0.05, 0.05, 0.1, 0.1, 0.3, 0.4]];
    const log: BigramLog = { passes: [], live: 0 };
    const choices = [answer("x y", "z"), answer("x y", "w")];
    const examples = [
      { choices, gold: 1 },
      { choices, gold: 0 },
    ];
    const stages: string[] = [];
    const result = await evaluateTasks({
      executor: bigramExecutor(table, log),
      tokenizer,
      tasks: [{ name: "copa", task: TASKS.copa, examples, available: 7 }],
      beginning: [],
      onProgress: ({ stage, done, total }) => stages.push(`${stage} ${done}/${total}`),
    });
    expect(ZeroShotResult.parse(result)).toEqual(result);
    expect(result.arithmetic).toMatchObject({ backend: "bigram", kvType: "f32" });
    expect(result.tasks[0]).toMatchObject({ task: "copa", examples: 2, available: 7, accuracy: { value: 0.5 } });
    expect(stages).toEqual(["copa 0/2", "copa 2/2"]);
  });
});
