import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { blockName, blockOf, halfOf, idOf, isInUnit, partsOf, ROLES } from "../../src/model/matrix-id.ts";
import { SOURCE_FILES, textOf } from "./source-files.ts";

const HOME = "model/matrix-id.ts";

/** What only matrix-id.ts may do: build an id, take one apart, list the roles. */
const PATTERNS: readonly RegExp[] = [
  /\bblocks\\?\.(\$\{|\\d|\(\\d)/,
  /(startsWith|endsWith|includes)\(["'`](blocks\.|\.?(attn|mlp)\.)/,
  /["'`]blocks\.\d/,
  /"attn\.q",\s*"attn\.k"/,
];

const SCRIPTS = path.resolve("scripts");
const scripts = readdirSync(SCRIPTS, { recursive: true, encoding: "utf8" }).filter((file) =>
  /\.[mc]?[jt]s$/.test(file),
);
const texts = new Map([
  ...SOURCE_FILES.map((file): [string, string] => [file, textOf(file)]),
  ...scripts.map((file): [string, string] => [`scripts/${file}`, readFileSync(path.join(SCRIPTS, file), "utf8")]),
]);

/** The text without its comments, which may show ids. */
function code(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/^\s*\/\/.*$/gm, "");
}

describe("ids of matrices", () => {
  it("are built and taken apart in one file", () => {
    const found = [...texts].filter(([file, text]) => file !== HOME && PATTERNS.some((one) => one.test(code(text))));
    expect(found.map(([file]) => file)).toEqual([]);
    expect(PATTERNS.some((one) => one.test(code(texts.get(HOME) ?? "")))).toBe(true);
  });

  it("come apart as they were put together", () => {
    for (const role of ROLES) {
      const id = idOf(12, role);
      expect(id).toBe(`blocks.12.${role}`);
      expect(partsOf(id)).toEqual({ block: 12, part: role });
      expect(blockOf(id)).toBe(12);
      expect(id).toContain(`.${halfOf(role)}.`);
      expect(isInUnit(id, blockName(12))).toBe(true);
      expect(isInUnit(id, blockName(1))).toBe(false);
    }
    expect(partsOf(idOf(3, "attn.q.bias"))).toEqual({ block: 3, part: "attn.q.bias" });
    expect(blockOf(blockName(7))).toBe(7);
    for (const outside of [
      "embedding",
      "head",
      "finalNorm.weight",
      "blocks",
      "blocks.x.mlp.up",
      "my.blocks.1.mlp.up",
    ]) {
      expect([partsOf(outside), blockOf(outside)]).toEqual([null, null]);
    }
    expect(partsOf(blockName(7))).toBeNull();
  });
});
