import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { CODE_FILES } from "./source-files.ts";

/** A file that is longer is two. */
const MAX_LINES = 300;

it(`no file of TypeScript or C++ has more than ${MAX_LINES} lines`, () => {
  expect(CODE_FILES.length).toBeGreaterThan(400);
  const long = CODE_FILES.map((file) => [file, readFileSync(file, "utf8").trimEnd().split("\n").length] as const);
  expect(long.filter(([, lines]) => lines > MAX_LINES)).toEqual([]);
});
