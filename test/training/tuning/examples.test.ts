import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { loadTokenizer, type Tokenizer } from "../../../src/model/tokenizer.ts";
import { type Example, examplesOf } from "../../../src/training/tuning/examples.ts";
import { byteTokenizer } from "../../support/byte-tokenizer.ts";

const TEMPLATE =
  "{% for m in messages %}<|{{ m.role }}|>{{ m.content }}<|end|>{% endfor %}" +
  "{% if add_generation_prompt %}<|assistant|>{% endif %}";

const folder = mkdtempSync(path.join(tmpdir(), "examples-"));
let tokenizer: Tokenizer;
beforeAll(async () => {
  writeFileSync(path.join(folder, "tokenizer.json"), JSON.stringify(byteTokenizer(["<s>", "</s>"])));
  const config = { tokenizer_class: "GPT2Tokenizer", bos_token: "<s>", eos_token: "</s>", add_bos_token: true };
  writeFileSync(path.join(folder, "tokenizer_config.json"), JSON.stringify({ ...config, chat_template: TEMPLATE }));
  tokenizer = await loadTokenizer(folder);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const of = (text: string, label = "data.jsonl", sequence = 64) =>
  examplesOf({ label, bytes: Buffer.from(text) }, { tokenizer, sequence });
const line = (value: unknown) => JSON.stringify(value);

/** What is read, and what of it is learned (the rest as dots). */
function shown({ ids, learned }: Example): [string, string] {
  const texts = Array.from(ids, (id) => tokenizer.decode([id]));
  return [texts.join(""), texts.map((text, i) => (learned[i] ? text : ".".repeat(text.length))).join("")];
}

describe("examples of a tuning file", () => {
  it("running text in sequences of the length, each beginning as texts do; all but the beginning is learned", () => {
    const found = of("abcdefghij", "book.txt", 5).map(shown);
    expect(found).toEqual([
      ["<s>abcd", "...abcd"],
      ["<s>efgh", "...efgh"],
      ["<s>ij", "...ij"],
    ]);
  });

  it("text records, one by one", () => {
    expect(of(`${line({ text: "ab" })}\n${line({ text: "cd" })}`).map(shown)).toEqual([
      ["<s>ab", "...ab"],
      ["<s>cd", "...cd"],
    ]);
  });

  it("completions with their end, prompts are only read", () => {
    expect(of(line({ prompt: "2+2=", completion: "4" })).map(shown)).toEqual([["<s>2+2=4</s>", ".......4</s>"]]);
  });

  it("all answers of a conversation, by the chat template", () => {
    const messages = [
      ...[
        { role: "user", content: "hi" },
        { role: "assistant", content: "yo" },
      ],
      ...[
        { role: "user", content: "so" },
        { role: "assistant", content: "no" },
        { role: "user", content: "?" },
      ],
    ];
    const [[read, learned]] = of(line({ messages }), "chat.jsonl", 128).map(shown);
    expect(read).toBe("<|user|>hi<|end|><|assistant|>yo<|end|><|user|>so<|end|><|assistant|>no<|end|>");
    expect(learned.replaceAll(".", "")).toBe("yo<|end|>no<|end|>");
  });

  it.each([
    ["unknown fields", line({ text: "a", label: 3 }), 'data.jsonl:1: expected no other fields, found "label"'],
    [
      "unknown fields of a message",
      line({ messages: [{ role: "user", content: "a", name: "b" }] }),
      'data.jsonl:1: expected no other fields, found "name"',
    ],
    [
      "none of the forms",
      line({ question: "a" }),
      'data.jsonl:1: expected text, or prompt and completion, or messages, found "question"',
    ],
    ["a field of another type", line({ text: 5 }), "data.jsonl:1: text: "],
    ["an empty text", line({ text: " " }), "data.jsonl:1: expected text, found none"],
    [
      "an empty completion",
      `${line({ prompt: "a", completion: "b" })}\n${line({ prompt: "a", completion: " " })}`,
      "data.jsonl:2: expected a completion, found an empty one",
    ],
    [
      "an empty answer",
      line({
        messages: [
          { role: "user", content: "a" },
          { role: "assistant", content: "" },
        ],
      }),
      "data.jsonl:1: messages.1: expected an answer, found an empty one",
    ],
    [
      "no answer",
      line({ messages: [{ role: "user", content: "a" }] }),
      "data.jsonl:1: expected an answer (role assistant), found none",
    ],
    [
      "a sequence beyond the length",
      line({ prompt: "a".repeat(60), completion: "b".repeat(9) }),
      "data.jsonl:1: expected at most 64 tokens, found 71",
    ],
    ["a broken line", `${line({ text: "a" })}\n{`, "data.jsonl:2: expected JSON lines"],
    ["nothing", "", "data.jsonl: expected text to learn from, found none"],
  ])("refuses %s", (_, text, message) => {
    expect(() => of(text)).toThrow(message);
    expect(() => of(text)).toThrow(expect.objectContaining({ code: "TUNING_TEXT" }));
  });
});
