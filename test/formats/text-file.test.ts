import { expect, test } from "vitest";
import { plainTextOf } from "../../src/formats/text-file.ts";

const plain = (content: string, name = "text.txt") => plainTextOf(Buffer.from(content), name);

test.each([
  ["JSON lines", '{"text": "One."}\n{"text": "Two."}', "text.txt", "JSON"],
  ["a JSON array", '[\n  {"text": "One."}\n]', "text.raw", "JSON"],
  ["JSON by its name", "One.", "text.jsonl", "JSON"],
  ["a list of numbers", "[1, 2, 3]", "text.txt", "JSON"],
  ["CSV", "One, two.", "text.csv", "a table (CSV)"],
  ["CSV by its columns", '"id","text"\n1,"One."', "text.txt", "a table with named columns"],
])("calibration-json-array: one running text is not %s", (_, content, name, what) => {
  expect(() => plain(content, name)).toThrow(`${name}: expected text, found ${what}`);
});

test.each(["Well, text.\n", "[1] A book.\n", "text\n", "", "One \u0001 two", "{ a }"])("%j is one", (content) => {
  expect(plain(content)).toBe(content);
});
