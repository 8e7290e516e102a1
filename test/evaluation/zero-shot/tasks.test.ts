import { mkdtempSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { parseTaskNames, readTasks } from "../../../src/evaluation/zero-shot/read-tasks.ts";
import { cleanWikiHow } from "../../../src/evaluation/zero-shot/tasks/hellaswag.ts";
import { TASK_NAMES, TASKS, type TaskName } from "../../../src/evaluation/zero-shot/tasks/index.ts";
import { dataFile, hasData, needsData } from "../../support/data.ts";

/** The first example of a task's text. */
function first(name: TaskName, text: string) {
  return TASKS[name].parse(text, `${name}.jsonl`)[0];
}

describe("tasks", () => {
  it("asks as lm-evaluation-harness does", () => {
    const query = "Question: Is water wet?\n";
    const line = JSON.stringify({ query, choices: ["yes", "né"], gold: 1 });
    for (const name of ["piqa", "arc-easy", "arc-challenge"] as const) {
      expect(first(name, line)).toEqual({
        choices: [
          { context: "Question: Is water wet?\nAnswer:", continuation: " yes", answerBytes: 3 },
          { context: "Question: Is water wet?\nAnswer:", continuation: " né", answerBytes: 3 },
        ],
        gold: 1,
      });
    }
    const passage = { query: "Passage: Water is.\nQuestion: is it wet?", choices: ["no", "yes"], gold: 0 };
    expect(first("boolq", JSON.stringify(passage)).choices[0].context).toBe("Water is.\nQuestion: is it wet?\nAnswer:");
    const bare = { query: "Frilled sharks live", choices: ["deep", "on land"], gold: 0 };
    for (const name of ["openbookqa", "copa"] as const) {
      expect(first(name, JSON.stringify(bare)).choices[1]).toMatchObject({
        context: "Frilled sharks live",
        continuation: " on land",
      });
    }
  });

  it("gives WinoGrande one continuation after each candidate, and no length", () => {
    const line = { context_options: ["Ann met Eve; Ann", "Ann met Eve; Eve"], continuation: "left.", gold: 0 };
    expect(
      first("winogrande", JSON.stringify(line)).choices.map(({ context, continuation }) => context + continuation),
    ).toEqual(["Ann met Eve; Ann left.", "Ann met Eve; Eve left."]);
    expect(TASKS.winogrande.normalised).toBe(false);
  });

  it("takes LAMBADA's last word, whatever space is before it", () => {
    const { choices } = first("lambada", JSON.stringify({ text: 'He said "no,\n\nShane' }));
    expect(choices).toEqual([{ context: "He said", continuation: ' "no,\n\nShane', answerBytes: 11 }]);
  });

  it("reads HellaSwag's six lines, without WikiHow's brackets", () => {
    const { choices, gold } = first(
      "hellaswag",
      "Golf: A man\n2\nswings.\n[step] hits  it.\nruns [title] Fast\nends.\n",
    );
    expect(gold).toBe(2);
    expect(choices.map(({ continuation }) => continuation)).toEqual([
      " swings.",
      "  hits it.",
      " runs. Fast",
      " ends.",
    ]);
    expect(choices[0].context).toBe("Golf: A man");
    expect(cleanWikiHow(" How [title] To [a] go [b]")).toBe("How. To go ");
  });

  it.each([
    ["piqa", "{", /piqa\.jsonl:1: expected JSON/],
    ["piqa", '\n{"query":"a","choices":["b"],"gold":0}', /piqa\.jsonl:2: choices/],
    ["arc-easy", '{"query":"a","choices":["b","c"],"gold":2}', /example 1: gold: expected below 2, found 2/],
    ["winogrande", '{"context_options":["a","b"],"continuation":"c","gold":3}', /gold: expected below 2, found 3/],
    ["lambada", '{"text":"one"}', /expected to end in a space and a word/],
    ["hellaswag", "a\n1\nb\nc\nd\n", /expected 6 lines an example, found 5/],
    ["hellaswag", "a\n4\nb\nc\nd\ne", /hellaswag\.jsonl:2: expected a number below 4, found 4/],
  ] as const)("names the line of a bad file of %s", (name, text, message) => {
    expect(() => TASKS[name].parse(text, `${name}.jsonl`)).toThrow(message);
  });
});

describe("readTasks", () => {
  it("reads names in any spelling, each once", () => {
    expect(parseTaskNames("piqa, ARC_easy,piqa")).toEqual(["piqa", "arc-easy"]);
    expect(parseTaskNames("copa,all")).toHaveLength(TASK_NAMES.length);
    expect(() => parseTaskNames("mmlu")).toThrow("expected lambada, piqa");
    expect(() => parseTaskNames(",")).toThrow("at least one name");
  });

  it("limits the examples and refuses a folder without the file, an empty file, a limit of 0", async () => {
    const folder = mkdtempSync(path.join(os.tmpdir(), "layerwise-tasks-"));
    writeFileSync(path.join(folder, "lambada_test.jsonl"), '{"text":"a b"}\n{"text":"c d"}\n');
    writeFileSync(path.join(folder, "copa.jsonl"), "\n");
    const [task] = await readTasks(folder, ["lambada"], 1);
    expect(task).toMatchObject({ name: "lambada", available: 2 });
    expect(task.examples).toHaveLength(1);
    await expect(readTasks(folder, ["piqa"])).rejects.toThrow("task piqa: expected piqa.jsonl, found no such file");
    writeFileSync(path.join(folder, "hellaswag_val_full.txt.bz2"), "BZh9");
    await expect(readTasks(folder, ["hellaswag"])).rejects.toThrow(
      "task hellaswag: expected hellaswag_val_full.txt, found hellaswag_val_full.txt.bz2",
    );
    await expect(readTasks(folder, ["copa"])).rejects.toThrow("at least one example");
    await expect(readTasks(folder, ["lambada"], 0)).rejects.toThrow("limit: expected a whole number >= 1, found 0");
  });

  it.skipIf(!hasData("eval"))(needsData("reads every example of the files in use", "eval"), async () => {
    const names = TASK_NAMES.filter((name) => name !== "hellaswag");
    const tasks = await readTasks(dataFile("eval"), names);
    expect(tasks.map(({ name, available }) => `${name} ${available}`)).toEqual([
      "lambada 5153",
      "piqa 1838",
      "arc-easy 2376",
      "arc-challenge 1172",
      "winogrande 1267",
      "boolq 3270",
      "openbookqa 500",
      "copa 100",
    ]);
  });
});
