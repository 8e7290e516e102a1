import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { readBlocks } from "../../support/gguf/k-blocks.ts";
import { GGUF_READ_TYPES, isGgufReadType, storedTensorBytes, tensorTypeOf } from "../../support/gguf/stored-types.ts";

/** Blocks and their values as llama.cpp itself gives them; made by test/peers/make-k-blocks.mjs. */
const Fixture = z.object({
  blocks: z.array(
    z.object({
      type: z.enum(["Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_NL", "IQ4_XS"]),
      bytes: z.string(),
      f32: z.string(),
    }),
  ),
});
const { blocks } = Fixture.parse(JSON.parse(readFileSync("test/fixtures/gguf/k-blocks.json", "utf8")));
const bytesOf = (base64: string) => Uint8Array.from(Buffer.from(base64, "base64"));

test("the fixture has every type that is only read", () => {
  expect(blocks.map(({ type }) => type).sort()).toEqual(Object.keys(GGUF_READ_TYPES).sort());
});

describe.each(blocks)("blocks of $type", ({ type, bytes, f32 }) => {
  const packed = bytesOf(bytes);
  const expected = new Float32Array(bytesOf(f32).buffer);

  test("have the values that llama.cpp gives them", () => {
    const values = readBlocks(type, packed);
    expect(values).toHaveLength(expected.length);
    // Its build may round between product and difference, or not.
    const scale = Math.max(...expected.map(Math.abs));
    values.forEach((value, i) => {
      expect(Math.abs(value - expected[i]), `value ${i}`).toBeLessThanOrEqual(scale * 2 ** -23);
    });
    expect(new Set(expected).size).toBeGreaterThan(50);
  });

  test("are as long as the table says, and found by number", () => {
    expect(storedTensorBytes(type, 2, 256)).toBe(packed.length);
    expect(storedTensorBytes(type, 1, 80)).toBeNull();
    expect(tensorTypeOf(GGUF_READ_TYPES[type].id)).toBe(type);
    expect(isGgufReadType(type)).toBe(true);
  });
});
