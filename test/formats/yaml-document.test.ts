import { describe, expect, test } from "vitest";
import { z } from "zod";
import { UserError } from "../../src/errors.ts";
import { MAX_NESTING, MAX_YAML_NODES } from "../../src/formats/limits.ts";
import { parseYamlDocument, YamlName } from "../../src/formats/yaml-document.ts";

const Any = z.unknown();

function refusal(text: string, schema: z.ZodType = Any): string {
  try {
    parseYamlDocument(text, "f.yaml", schema);
  } catch (error) {
    if (error instanceof UserError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "read";
}

describe("limits of YAML", () => {
  const forms: readonly [string, (depth: number) => string][] = [
    ["flow lists", (depth) => `${"[".repeat(depth)}${"]".repeat(depth)}`],
    ["flow lists without an end", (depth) => "[".repeat(depth)],
    ["flow maps", (depth) => `${"{a: ".repeat(depth)}1${"}".repeat(depth)}`],
    ["lists on one line", (depth) => `${"- ".repeat(depth)}x`],
    ["keys of keys", (depth) => `${"? ".repeat(depth)}x`],
    ["indented maps", (depth) => Array.from({ length: depth }, (_, i) => `${" ".repeat(i)}a:`).join("\n")],
  ];

  test.each(forms)("nesting of %s", (_, form) => {
    expect(refusal(form(MAX_NESTING - 1))).not.toMatch(/^YAML_LIMIT/);
    for (const depth of [MAX_NESTING + 1, 1000]) {
      expect(refusal(form(depth))).toBe(
        `YAML_LIMIT f.yaml: expected at most ${MAX_NESTING} levels of nesting, found more`,
      );
    }
  });

  test("nesting that would exhaust the stack", () => {
    expect(refusal("- ".repeat(20_000))).toMatch(/^YAML_LIMIT .* levels of nesting/);
    expect(refusal("- ".repeat(400_000))).toMatch(/^YAML_LIMIT .* tokens/);
  });

  test("nodes", () => {
    const list = (items: number) => "- a\n".repeat(items);
    expect(parseYamlDocument(list(MAX_YAML_NODES - 2), "f.yaml", Any)).toHaveLength(MAX_YAML_NODES - 2);
    expect(refusal(list(MAX_YAML_NODES))).toBe(
      `YAML_LIMIT f.yaml: expected at most ${MAX_YAML_NODES} nodes, found more`,
    );
  });

  test("tokens, before a document is made of them", () => {
    const began = performance.now();
    expect(refusal(`[${"0,".repeat(500_000)}0]`)).toMatch(/^YAML_LIMIT .* at most 80000 tokens, found more$/);
    expect(performance.now() - began).toBeLessThan(2000);
  });

  test("aliases that unfold without end, that name themselves, and that name nothing", () => {
    const bomb = `a0: &a0 [x, x, x, x, x, x, x, x, x]\n${Array.from({ length: 9 }, (_, i) => {
      return `a${i + 1}: &a${i + 1} [${Array(9).fill(`*a${i}`).join(", ")}]\n`;
    }).join("")}`;
    expect(refusal(bomb)).toMatch(/^YAML_SYNTAX f.yaml: Excessive alias count/);
    expect(refusal("a: *none")).toMatch(/^YAML_SYNTAX f.yaml/);
    expect(refusal("a: &a [*a]")).toMatch(/^YAML_LIMIT f.yaml: .* levels of nesting, aliases unfolded, found more/);
  });

  test.each([".inf", "-.inf", ".nan", "1e999"])("%s is no number of a field", (number) => {
    expect(refusal(`n: ${number}`, z.strictObject({ n: z.number() }))).toMatch(/^YAML_FIELD f.yaml:1: n: expected/);
  });

  test.each(['"two\\nlines"', '"\\e[31mred"', '"\\u2028"', "a".repeat(101), '""'])(
    "%s is no name that can stand in a line",
    (name) => {
      expect(refusal(`name: ${name}`, z.strictObject({ name: YamlName }))).toMatch(/^YAML_FIELD f.yaml:1: name: /);
    },
  );
});
