import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../../src/errors.ts";
import { decodeValues, isDecodable, openSafetensors } from "../../../src/formats/safetensors/index.ts";
import { EXPECTED, SAFETENSORS } from "./fixtures.ts";

/** A decoded value in the notation of expected.json. */
function written(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(written);
  if (typeof value === "bigint")
    return BigInt(Number(value)) === value && Number.isSafeInteger(Number(value)) ? Number(value) : `${value}`;
  if (typeof value !== "number") return value;
  if (Object.is(value, -0)) return "-0";
  return Number.isFinite(value) ? value : String(value);
}

describe("safetensors fixtures", () => {
  test("every file of the folder is in expected.json", () => {
    expect(readdirSync(path.join(SAFETENSORS, "good")).sort()).toEqual(Object.keys(EXPECTED.good).sort());
    expect(readdirSync(path.join(SAFETENSORS, "bad")).sort()).toEqual(Object.keys(EXPECTED.bad).sort());
  });

  test.each(Object.entries(EXPECTED.good))("good: %s", async (name, expected) => {
    const file = await openSafetensors(path.join(SAFETENSORS, "good", name));
    try {
      expect(file.headerBytes).toBe(expected.header_length);
      expect(file.byteLength).toBe(expected.file_bytes);
      expect(file.metadata && Object.fromEntries(file.metadata)).toEqual(expected.metadata);
      const tensors = new Map(Object.entries(expected.tensors));
      expect([...file.tensors.keys()].sort()).toEqual([...tensors.keys()].sort());
      for (const [key, tensor] of tensors) {
        const info = file.tensor(key);
        expect(info.dtype).toBe(tensor.dtype);
        expect(info.shape).toEqual(tensor.shape);
        expect([info.begin, info.end]).toEqual(tensor.data_offsets);
        const bytes = await file.readBytes(key);
        expect(createHash("sha256").update(bytes).digest("hex")).toBe(tensor.sha256);
        const values = decodeValues(info.dtype, bytes);
        expect(values.map(written)).toEqual(tensor.values);
        if (!isDecodable(info.dtype)) continue;
        const numbers = values.map((value) => Math.fround(Number(value)));
        expect([...(await file.readF32(key, 0, values.length))]).toEqual(numbers);
        const middle = await file.readF32(key, Math.min(1, values.length), values.length);
        expect([...middle]).toEqual(numbers.slice(1));
      }
    } finally {
      await file.close();
    }
  });

  test.each(Object.entries(EXPECTED.bad))("bad: %s", async (name, expected) => {
    const file = path.join(SAFETENSORS, "bad", name);
    if (expected.verdict === "reference-accepts") {
      await (await openSafetensors(file)).close();
      return;
    }
    const error = await openSafetensors(file).then(
      () => null,
      (thrown: unknown) => thrown,
    );
    expect(error).toBeInstanceOf(UserError);
    if (!(error instanceof UserError)) return;
    expect(error.message).toContain(file);
    expect(error.message).not.toMatch(/[\n\r]/);
    expect(error.message.length - file.length).toBeLessThan(500);
  });

  test("the npm package safetensors reads the same bytes from every good file that it can read", async () => {
    const { SafeTensor } = await import("safetensors");
    let compared = 0;
    for (const name of Object.keys(EXPECTED.good)) {
      const whole = readFileSync(path.join(SAFETENSORS, "good", name));
      let theirs: InstanceType<typeof SafeTensor>;
      try {
        theirs = new SafeTensor(new Uint8Array(whole));
      } catch {
        continue; // It takes __metadata__ for a tensor and fails.
      }
      const file = await openSafetensors(path.join(SAFETENSORS, "good", name));
      for (const [key, info] of file.tensors) {
        if (key === "__proto__") continue; // Lost by its JSON.parse into a plain object.
        expect(theirs.metadata.get(key)?.data_offsets).toEqual(
          [info.begin, info.end].map((at) => at + file.dataOffset),
        );
        expect(theirs.getTensor(key)).toEqual(await file.readBytes(key));
        compared++;
      }
      await file.close();
    }
    expect(compared).toBeGreaterThan(50);
  });
});
