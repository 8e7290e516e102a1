import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { readPrompts } from "../../../src/bench/drafters/prompts.ts";
import { LETTERS } from "../../decoding/scripted-executor.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";

const LIMITS = { count: 3, maxTokens: 4 };

function written(name: string, text: string): string {
  const file = path.join(temporaryFolder(), name);
  writeFileSync(file, text);
  return file;
}

describe("readPrompts", () => {
  test("takes a prompt a line, the first so many, cut to so many tokens", async () => {
    const file = written("prompts.txt", "one two\r\n\nthree\nfour\nfive\n");
    const { source, ids } = await readPrompts(LETTERS, { file, ...LIMITS });
    expect(source).toBe("prompts.txt");
    expect(ids.map((one) => LETTERS.decode(one))).toEqual(["one ", "thre", "four"]);
  });

  test("takes prompt or text of .jsonl, and names the line that has neither", async () => {
    const good = written("good.jsonl", '{"prompt": "ab", "more": 1}\n{"text": "cd"}\n');
    expect((await readPrompts(LETTERS, { file: good, ...LIMITS })).ids.map((one) => LETTERS.decode(one))).toEqual([
      "ab",
      "cd",
    ]);
    const bad = written("bad.jsonl", '{"prompt": "ab"}\n{"query": "cd"}\n');
    await expect(readPrompts(LETTERS, { file: bad, ...LIMITS })).rejects.toThrow(`${bad}:2: `);
    const broken = written("broken.jsonl", '{"prompt": \n');
    await expect(readPrompts(LETTERS, { file: broken, ...LIMITS })).rejects.toMatchObject({
      code: "PROMPTS",
      message: expect.stringContaining(`${broken}:1: `),
    });
  });

  test("refuses files without prompts and counts that are none", async () => {
    const file = written("empty.txt", "\n \n");
    await expect(readPrompts(LETTERS, { file, ...LIMITS })).rejects.toMatchObject({ code: "PROMPTS" });
    await expect(readPrompts(LETTERS, { count: 0, maxTokens: 4 })).rejects.toThrow(
      "prompt-count: expected a whole number from 1 up, found 0",
    );
    await expect(readPrompts(LETTERS, { count: 1, maxTokens: 1.5 })).rejects.toThrow("prompt-tokens");
  });

  test("without a file takes different passages of the text that ships, always the same", async () => {
    const first = await readPrompts(LETTERS, { count: 5, maxTokens: 40 });
    const texts = first.ids.map((one) => LETTERS.decode(one));
    expect(new Set(texts).size).toBe(5);
    expect(first.ids.every(({ length }) => length === 40)).toBe(true);
    expect(first.source).toContain("pride-and-prejudice.txt");
    expect(await readPrompts(LETTERS, { count: 5, maxTokens: 40 })).toEqual(first);
  });
});
