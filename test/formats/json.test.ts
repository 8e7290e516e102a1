import { describe, expect, test } from "vitest";
import { JsonError, parseJson } from "../../src/formats/json.ts";
import { MAX_JSON_VALUES, MAX_NESTING, MAX_NUMBER_CHARACTERS } from "../../src/formats/limits.ts";

/** The code and reason of a refusal. */
function refusal(text: string): string {
  try {
    parseJson(text);
  } catch (error) {
    if (error instanceof JsonError) return `${error.code} ${error.message}`;
    throw error;
  }
  return "read";
}

describe("parseJson", () => {
  test.each([
    '{"a":[1,-2.5e-3,0,1e308,-1e-400],"b":"\\"[{1e999","c":[null,true,false,{}]}',
    ` "${"[".repeat(500)}" `,
    `[${"9".repeat(308)}, ${"0.".padEnd(MAX_NUMBER_CHARACTERS, "1")}]`,
  ])("reads what JSON.parse reads: %s", (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  test.each(["", "{", '"', '"\\', "[1,]", "1e", "-", "--1", "NaN", "[Infinity]", "1 2", '{"a":1e+}', "\u0000"])(
    "%j is not JSON",
    (text) => {
      expect(refusal(text)).toMatch(/^NOT_JSON ./);
    },
  );

  test("nesting, values and numbers have limits, and their refusals name them", () => {
    for (const depth of [MAX_NESTING + 1, 5_000_000]) {
      expect(refusal("[".repeat(depth))).toBe("JSON_LIMIT more than 100 levels of nesting");
      expect(refusal('{"a":'.repeat(depth))).toBe("JSON_LIMIT more than 100 levels of nesting");
    }
    expect(refusal(`[${"[],".repeat(MAX_JSON_VALUES / 2)}0]`)).toBe(`JSON_LIMIT more than ${MAX_JSON_VALUES} values`);
    expect(() => parseJson("[1,2,3]", 3)).toThrow("more than 3 values");
    expect(parseJson("[1,2]", 3)).toEqual([1, 2]);
    expect(refusal("1".repeat(MAX_NUMBER_CHARACTERS + 1))).toBe("JSON_LIMIT a number of more than 1000 characters");
    for (const number of ["1e309", "-1E999", "9".repeat(310), "1e99999999999"]) {
      expect(refusal(`[0, ${number}]`)).toBe(`JSON_LIMIT a number beyond ±1.8e308, ${number.slice(0, 40)}`);
    }
  });
});
