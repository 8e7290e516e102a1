import { describe, expect, it } from "vitest";
import { canonicalJson, hashOf, readableJson } from "../../src/pipeline/step-key.ts";

describe("keys", () => {
  it("do not depend on the order of fields but on everything else", () => {
    expect(canonicalJson({ b: [1, { d: null, c: "x" }], a: true })).toBe('{"a":true,"b":[1,{"c":"x","d":null}]}');
    expect(hashOf({ a: 1, b: 2 })).toBe(hashOf({ b: 2, a: 1, c: undefined }));
    expect(hashOf([1, 2])).not.toBe(hashOf([2, 1]));
    expect(hashOf({ a: "1" })).not.toBe(hashOf({ a: 1 }));
  });

  it.each([[Number.NaN], [() => 1], [new Uint8Array(1)], [new Map()], [1n], [undefined]])("refuse %s", (value) => {
    expect(() => canonicalJson({ a: [value] })).toThrow(/must be plain JSON/);
  });

  it("stand in files that keep every number", () => {
    const value = { numbers: [1, -2.5, 1e-7], nested: [[1], [2, 3]], text: "[\n 1\n]", mixed: [1, "x"], none: [] };
    expect(JSON.parse(readableJson(value))).toEqual(value);
    expect(readableJson(value)).toContain("[1, -2.5, 1e-7]");
  });
});
