import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { expect, it } from "vitest";

/** Text that would send a reader, or a test, to something that a clone does not hold. */
const OUTSIDE = /\.\.\/shared\b|\bpapers\.md\b/;

it("names nothing outside the clone", () => {
  const files = execFileSync("git", ["ls-files", "-z"], { encoding: "utf8" })
    .split("\0")
    .filter((file) => /\.(ts|mts|mjs|md|json|ya?ml|sh|py|cpp|h)$|^\.ci\//.test(file))
    .filter((file) => file !== "test/rules/stands-alone.test.ts" && existsSync(file));
  expect(files.length).toBeGreaterThan(500);
  expect(files.filter((file) => OUTSIDE.test(readFileSync(file, "utf8")))).toEqual([]);
});
