import { writeFileSync } from "node:fs";
import path from "node:path";
import { gzipSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { buildCalibration } from "../../src/calibration/build.ts";
import { readSourceText } from "../../src/calibration/documents.ts";
import { UserError } from "../../src/errors.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { wordTokenizer } from "./word-tokenizer.ts";

const root = temporaryFolder();

function file(name: string, content: string | Buffer): string {
  const target = path.join(root, name);
  writeFileSync(target, content);
  return target;
}

const documentsOf = async (target: string) =>
  (await readSourceText(target, (messages) => messages.map(({ role, content }) => `${role}: ${content}`).join(" | ")))
    .documents;

async function refusal(name: string, content: string | Buffer): Promise<string> {
  const error = await documentsOf(file(name, content)).then(
    (found) => `read: ${JSON.stringify(found)}`,
    (thrown: unknown) => (thrown instanceof UserError ? `${thrown.code} ${thrown.message}` : thrown),
  );
  if (typeof error !== "string") throw error;
  expect(error).not.toContain("\n");
  return error.replace(path.join(root, name), "FILE");
}

const RECORDS = [
  { text: 'One “day”,\n"it" rained.', label: 1 },
  { messages: [{ role: "user", content: "Why?" }] },
  { text: "A second\ttext." },
];
const DOCUMENTS = ['One “day”,\n"it" rained.', "user: Why?", "A second\ttext."];
const LINES = RECORDS.map((record) => JSON.stringify(record)).join("\n");

describe("calibration-json-array: JSON is read as the texts that it holds", () => {
  test.each([
    ["lines.jsonl", LINES],
    ["lines.json", LINES],
    ["lines.txt", LINES],
    ["lines", `\n${LINES.replaceAll("\n", "\r\n")}\r\n`],
    ["array.json", JSON.stringify(RECORDS)],
    ["array.jsonl", JSON.stringify(RECORDS)],
    ["indented.JSON", `\ufeff${JSON.stringify(RECORDS, null, 2)}\n`],
    ["indented.txt", JSON.stringify(RECORDS, null, "\t").replaceAll("\n", "\r\n")],
  ])("%s", async (name, content) => {
    expect(await documentsOf(file(name, content))).toEqual(DOCUMENTS);
  });

  test("the same texts are the same calibration", async () => {
    const texts = Array.from({ length: 60 }, (_, i) => ({ text: `word${i} “and” more\nof text ${i}.` }));
    const lines = file("same.jsonl", texts.map((text) => JSON.stringify(text)).join("\n"));
    const array = file("same.json", JSON.stringify(texts, null, 1));
    const build = (target: string) =>
      buildCalibration(wordTokenizer(), [{ path: target, tokens: 128 }], { sequenceTokens: 32, seed: 1 });
    expect((await build(array)).id).toBe((await build(lines)).id);
  });

  test.each([
    ["one object", "data.json", JSON.stringify({ data: RECORDS }, null, 2), "one JSON object over several lines"],
    ["one object on a line", "data.json", JSON.stringify({ data: RECORDS }), "keys data"],
    ["texts without keys", "list.json", '["One text.", "Another."]', "string"],
    ["other keys", "alpaca.json", '[{"instruction": "a", "output": "b"}]', "keys instruction, output"],
    ["half an array", "half.json", JSON.stringify(RECORDS).slice(0, 58), "Unterminated string"],
    ["half an array by another name", "half.txt", JSON.stringify(RECORDS).slice(0, 58), "Unterminated string"],
    ["prose", "prose.json", "Once upon a time.", "Unexpected token"],
  ])("%s is refused", async (_, name, content, found) => {
    expect(await refusal(name, content)).toMatch(
      /^CALIBRATION_JSON FILE(:1|: item 1)?: JSON: expected \{"text": …\} or /,
    );
    expect(await refusal(name, content)).toContain(`, found ${found}`);
  });
});

describe("calibration-json-array: what is no text is named", () => {
  const table = 'text,label\n"One text, quoted.",1\n';
  const utf16 = (text: string) => Buffer.from(text, "utf16le");
  test.each([
    ["texts.csv", table, "a table (CSV)"],
    ["texts.TSV", "a\tb\n", "a table (TSV)"],
    ["texts.txt", table, "a table with named columns"],
    ["tabs.txt", "id\ttext\n1\tOne text.\n", "a table with named columns"],
    ["texts.parquet", Buffer.from("PAR1\x15\x04\x15"), "a Parquet file"],
    ["texts.arrow", Buffer.from("ARROW1\0\0"), "an Arrow file"],
    ["texts.jsonl.gz", gzipSync(LINES), "a compressed file"],
    ["texts.jsonl.zst", Buffer.from("28b52ffd04", "hex"), "a compressed file"],
    ["texts.txt.bz2", Buffer.from("BZh91AY&SY"), "a compressed file"],
    ["texts.zip", Buffer.from("504b0304", "hex"), "a zip archive, as PyTorch's pickles are"],
    ["page.txt", "<!doctype html>\n<title>Sign in</title>", "a web page"],
    ["paper.pdf", "%PDF-1.7\n", "a PDF document"],
    ["wide.txt", Buffer.concat([Buffer.from("fffe", "hex"), utf16("Some text.")]), "UTF-16 or UTF-32"],
    ["bare-wide.txt", utf16("Some text without a mark."), "UTF-16 or UTF-32"],
    ["swapped.txt", utf16("Some text without a mark.").swap16(), "UTF-16 or UTF-32"],
    ["zeros.txt", Buffer.concat([Buffer.from("Some text."), Buffer.alloc(3)]), "binary data"],
  ])("%s", async (name, content, what) => {
    expect(await refusal(name, content)).toBe(`FOREIGN_FILE FILE: expected text, found ${what}`);
  });

  test.each([
    ["prose, with commas", "Well, text, he said.\nAnd more."],
    ["a first line of one word", "text\nand more of it"],
    ["notes with brackets", "[1] A. Smith, 1990.\n[2] B."],
    ["a program", "{\n  int x = 1;\n}\n"],
  ])("text stays text: %s", async (_, content) => {
    expect(await documentsOf(file("plain.txt", content))).toEqual([content]);
  });
});
