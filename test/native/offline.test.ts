import { describe, expect, it } from "vitest";
import { gptqUpdate } from "../../src/maths/plain/gptq-update.ts";
import * as twin from "../../src/maths/plain/linear-algebra.ts";
import { takeGroups } from "../../src/maths/plain/take-groups.ts";
import type { NativeEngine } from "../../src/native/addon.ts";
import { ADDON_STATE, engineOf, expectBits, HAS_ADDON, ISAS, normals } from "./engines.ts";
import { positiveDefinite, shuffled } from "./offline-numbers.ts";

/** Every table that runs here on one thread, and the fastest on two and three. */
const machines = (): readonly NativeEngine[] => [
  ...ISAS.map((isa) => engineOf(isa)),
  engineOf(ISAS[ISAS.length - 1], 2),
  engineOf(ISAS[ISAS.length - 1], 3),
];

/** Runs on every machine, demands the same bits of all, and returns them. */
async function onAll<T extends Float32Array | Float64Array | Uint8Array>(
  run: (engine: NativeEngine) => Promise<T>,
): Promise<T> {
  const [first, ...others] = await Promise.all(machines().map(run));
  for (const other of others) expect(Buffer.compare(bytesOf(other), bytesOf(first))).toBe(0);
  return first;
}

const bytesOf = (x: Float32Array | Float64Array | Uint8Array) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

describe.skipIf(!HAS_ADDON)(`offline maths (${ADDON_STATE})`, () => {
  it("gptq: the plain one's bytes for any block of columns", async () => {
    const [rows, cols, bits, group] = [19, 150, 4, 32];
    const u = positiveDefinite(cols, "u");
    twin.inverseUpperFactor(u, cols);
    const weights = normals(rows * cols, "w");
    const options = {
      ...{ rows, cols, u, bits, group, levels: null, minima: null, order: shuffled(cols, "order") },
      scales: normals(rows * Math.ceil(cols / group), "scales", 0.2),
    };
    const [w, expected] = [weights.slice(), new Uint8Array(rows * cols)];
    gptqUpdate({ ...options, w, codes: expected });
    for (const blockCols of [1, 7, 16, 40, 128, 500]) {
      const codes = await onAll(async (engine) => {
        const [values, found] = [weights.slice(), new Uint8Array(rows * cols)];
        await engine.offline.gptq({ ...options, w: values, codes: found, blockCols });
        return Uint8Array.from([...found, ...bytesOf(values)]);
      });
      expectBits(codes, Uint8Array.from([...expected, ...bytesOf(w)]), `blocks of ${blockCols}`);
    }
  });

  it.each([
    [1, [-1, 40, -1, -1, 7, -1, -1, -1, -1]],
    [5, [-1, 9, -1, -1]],
  ])("takeGroups: the plain one's bytes, choices and costs for groups of %i", async (size, asked) => {
    const [rows, cols] = [21, 75];
    const factor = positiveDefinite(cols, "h");
    twin.inverseUpperFactor(factor, cols);
    const given = { rows, size, factor, order: shuffled(cols, "order"), damping: 0.01 };
    const start = () => ({
      weights: Float64Array.from(normals(rows * cols, "w")),
      taken: Int32Array.from(asked),
      costs: new Float64Array(asked.length),
    });
    const expected = start();
    takeGroups({ ...given, ...expected });
    expect(new Set(expected.taken).size).toBe(asked.length);
    const bits = ({ weights, taken, costs }: typeof expected) =>
      Uint8Array.from([...bytesOf(weights), ...bytesOf(costs), ...taken]);
    const found = await onAll(async (engine) => {
      const own = start();
      await engine.offline.takeGroups({ ...given, ...own, cols, count: asked.length });
      return bits(own);
    });
    expectBits(found, bits(expected), `groups of ${size}`);
  });

  it("takeGroups refuses groups that are not there", async () => {
    const [rows, cols] = [2, 6];
    const call = (size: number, taken: number[]) =>
      engineOf(ISAS[0]).offline.takeGroups({
        ...{ rows, cols, size, damping: 0.1, count: taken.length, taken: Int32Array.from(taken) },
        ...{ weights: new Float64Array(12), factor: new Float64Array(36), order: shuffled(cols, "order") },
        costs: new Float64Array(taken.length),
      });
    await expect(async () => call(4, [0])).rejects.toThrow(/size: expected a divisor/);
    await expect(async () => call(2, [0, 3])).rejects.toThrow(/taken\[1\]: expected every group at most once/);
    await expect(async () => call(2, [1, 1])).rejects.toThrow(/taken\[1\]/);
    await expect(async () => call(3, [0, -1, -1])).rejects.toThrow(/at most 2 groups/);
  });

  it("readBandwidth measures something that memory can do", async () => {
    const bytesPerSecond = await engineOf(ISAS[ISAS.length - 1], 2).readBandwidth(64 * 1024 * 1024);
    expect(bytesPerSecond).toBeGreaterThan(2e8);
    expect(bytesPerSecond).toBeLessThan(2e12);
  });
});
