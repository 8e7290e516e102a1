import { describe, expect, it } from "vitest";
import { gptqUpdate } from "../../src/maths/plain/gptq-update.ts";
import * as twin from "../../src/maths/plain/linear-algebra.ts";
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

  it("readBandwidth measures something that memory can do", async () => {
    const bytesPerSecond = await engineOf(ISAS[ISAS.length - 1], 2).readBandwidth(64 * 1024 * 1024);
    expect(bytesPerSecond).toBeGreaterThan(2e8);
    expect(bytesPerSecond).toBeLessThan(2e12);
  });
});
