import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { CODE_FILES } from "./source-files.ts";

/** What a split view shows. The formatter wraps code, but neither comments nor texts. */
const MAX_COLUMNS = 120;

const isComment = (line: string) => /^\s*(\/\/|\/?\*)/.test(line);
/** Rows of a table and addresses cannot be broken. */
const isWhole = (line: string) => /^\s*(\/\/|\*) \|/.test(line) || /https?:\/\//.test(line);
/** Nor can texts and regular expressions in TypeScript and scripts. */
const holdsText = (line: string) => /["`]|\/[^/]+\//.test(line);

const isLong = (file: string) => (line: string) => {
  if (line.length <= MAX_COLUMNS || isWhole(line)) return false;
  return isComment(line) || /\.(cpp|h)$/.test(file) || !holdsText(line);
};

describe(`lines of at most ${MAX_COLUMNS} columns`, () => {
  it("knows a long one", () => {
    const long = "x".repeat(MAX_COLUMNS);
    expect([`// ${long}`, ` * ${long}`, `f(${long});`].filter(isLong("a.ts"))).toHaveLength(3);
    expect([`f("${long}");`].filter(isLong("a.cpp"))).toHaveLength(1);
    expect([`f("${long}");`, ` * | ${long} |`, `// https://${long}`, "f();"].filter(isLong("a.ts"))).toEqual([]);
  });

  it("TypeScript, scripts and C++ keep to them", () => {
    expect(CODE_FILES.length).toBeGreaterThan(400);
    const long = CODE_FILES.filter((file) => !file.endsWith(".sh")).flatMap((file) =>
      readFileSync(file, "utf8")
        .split("\n")
        .flatMap((line, i) => (isLong(file)(line) ? [`${file}:${i + 1}`] : [])),
    );
    expect(long).toEqual([]);
  });
});
