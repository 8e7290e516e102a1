import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { JsonSyntaxError, type JsonValue, parseStrictJson } from "../../../src/formats/safetensors/strict-json.ts";

/** The value as JSON.parse would give it; objects as entries. */
function plain(value: JsonValue): unknown {
  if (value === null || typeof value !== "object") return value;
  if (Array.isArray(value)) return value.map(plain);
  if ("kind" in value && value.kind === "number") return Number(value.text);
  if ("kind" in value && value.kind === "object")
    return { entries: value.members.map(([key, item]) => [key, plain(item)]) };
  throw new Error("unknown value");
}

function entries(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(entries);
  if (typeof value !== "object" || value === null) return value;
  return { entries: Object.entries(value).map(([key, item]) => [key, entries(item)]) };
}

describe("parseStrictJson", () => {
  test("agrees with JSON.parse on what JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.json({ stringUnit: "binary" }), fc.nat(3), (text, indent) => {
        fc.pre(!/\\u[dD][89a-fA-F]/.test(text));
        const shown = JSON.stringify(JSON.parse(text), null, indent);
        expect(plain(parseStrictJson(shown))).toEqual(entries(JSON.parse(shown)));
      }),
      { numRuns: 300 },
    );
  });

  test("accepts nothing that JSON.parse refuses, and ends with a value or a JsonSyntaxError", () => {
    const pieces = fc.constantFrom(...'{}[]",:\\u0d8 -+.eE10', "null", "true", "\\n", "\u0001", "é", "\ufeff", "[[");
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 14 }), (parts) => {
        const text = parts.join("");
        let accepted = true;
        try {
          parseStrictJson(text);
        } catch (error) {
          expect(error).toBeInstanceOf(JsonSyntaxError);
          accepted = false;
        }
        if (accepted) expect(() => JSON.parse(text)).not.toThrow();
      }),
      { numRuns: 5000 },
    );
  });

  test("keeps what JSON.parse loses", () => {
    expect(parseStrictJson('{"a":1.0,"a":18446744073709551615,"__proto__":-0}')).toEqual({
      kind: "object",
      members: [
        ["a", { kind: "number", text: "1.0" }],
        ["a", { kind: "number", text: "18446744073709551615" }],
        ["__proto__", { kind: "number", text: "-0" }],
      ],
    });
    expect(parseStrictJson('"\\ud83d\\ude42\\/\\b"')).toBe("🙂/\b");
  });

  test.each([
    ['"\\ud800"', "lone surrogate"],
    ['"\\ud800\\u0041"', "lone surrogate"],
    ['"\\udc00"', "lone surrogate"],
    ['"\\u12g4"', "bad \\u escape"],
    ["\ufeff{}", "expected a JSON value"],
    ["{} x", "text after the JSON value"],
    ["{}\0", "text after the JSON value"],
    ["01", "bad number"],
    ["1e999", "number out of range"],
    [`1${"0".repeat(2000)}`, "characters"],
    ['"a', "the text ends inside a string"],
    ['{"a":1,}', "expected a quoted key"],
    ["[1 2]", "expected ',' or ']'"],
    ["", "the text ends early"],
    ["[".repeat(200), "nesting deeper than 127"],
  ])("refuses %s: %s", (text, reason) => {
    expect(() => parseStrictJson(text)).toThrow(reason);
  });

  test("walks long strings and runs of spaces without running out of stack", () => {
    const long = "x".repeat(20_000_000);
    expect(parseStrictJson(`${" ".repeat(20_000_000)}"${long}"`) === long).toBe(true);
  });
});
