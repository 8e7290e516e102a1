import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { TOOL_VERSION } from "../../src/version.ts";

it("has one version", () => {
  expect(JSON.parse(readFileSync("package.json", "utf8")).version).toBe(TOOL_VERSION);
});
