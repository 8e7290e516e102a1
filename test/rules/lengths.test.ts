import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

/** A file that is longer is two. */
const MAX_LINES = 300;

/** Hand-written code that git knows or has not been told of: TypeScript, scripts, C++. */
const CODE = execFileSync(
  "git",
  ["ls-files", "--cached", "--others", "--exclude-standard", "src", "experiments", "test", "scripts"],
  {
    encoding: "utf8",
  },
)
  .split("\n")
  .filter((file) => /\.(ts|mts|mjs|cjs|cpp|h|sh)$/.test(file) && existsSync(file));

it(`no file of TypeScript or C++ has more than ${MAX_LINES} lines`, () => {
  expect(CODE.length).toBeGreaterThan(400);
  const long = CODE.map((file) => [file, readFileSync(file, "utf8").trimEnd().split("\n").length] as const);
  expect(long.filter(([, lines]) => lines > MAX_LINES)).toEqual([]);
});
