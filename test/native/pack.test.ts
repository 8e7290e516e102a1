import { describe, expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import type { NativeEngine } from "../../src/native/addon.ts";
import { codecForm } from "../../src/native/codec-form.ts";
import { sampleNumbers } from "../codecs/sample-numbers.ts";
import { ADDON_STATE, EVERY_CODEC, engineOf, HAS_ADDON, ISAS } from "./engines.ts";

const machines = (): readonly NativeEngine[] => [
  ...ISAS.map((isa) => engineOf(isa)),
  engineOf(ISAS[ISAS.length - 1], 3),
];

/** Numbers of rows that are no bf16, and scales and minima that are no multiples of them. */
async function refusesTwoLevels(engine: NativeEngine): Promise<void> {
  const codec = CODECS["q4a-g32-s8"];
  const numbers = sampleNumbers(codec, 3, 40);
  if (numbers.kind !== "integer" || !numbers.rowScales || !numbers.minima || !numbers.rowMinima)
    throw new Error("q4a-g32-s8 has both");
  const { rowScales, rowMinima, scales, minima } = numbers;
  const out = new Uint8Array(codec.packedBytes(3, 40));
  const pack = (change: object) => engine.offline.pack(codecForm(codec), { ...numbers, ...change }, out);
  await pack({});
  await expect(pack({ scales: scales.with(2, 0.1) })).rejects.toThrow(/scale that is no multiple of its row's at 2/);
  await expect(pack({ scales: scales.with(2, 128 * rowScales[1]) })).rejects.toThrow(/scale .* multiple .* at 2/);
  await expect(pack({ minima: minima.with(3, Number.NaN) })).rejects.toThrow(/minimum .* multiple .* at 3/);
  await expect(pack({ rowScales: rowScales.with(1, 1 / 3) })).rejects.toThrow(/row scale .* bf16 number at 1/);
  await expect(pack({ rowMinima: rowMinima.with(2, Number.NaN) })).rejects.toThrow(/row minimum .* bf16 number at 2/);
  expect(() => pack({ rowScales: null })).toThrow(/rowScales/);
}

describe.skipIf(!HAS_ADDON)(`packing on the engine (${ADDON_STATE})`, () => {
  it.each(EVERY_CODEC)("packs the bytes of Codec.pack: $id", async ({ codec }) => {
    for (const [rows, cols] of [
      [1, 1],
      [16, 32],
      [17, 33],
      [70, 100],
      [31, 200],
    ]) {
      const numbers = sampleNumbers(codec, rows, cols);
      const expected = codec.pack(numbers);
      for (const engine of machines()) {
        const out = new Uint8Array(expected.length).fill(255);
        await engine.offline.pack(codecForm(codec), numbers, out);
        expect(Buffer.compare(out, expected), `${rows} x ${cols}`).toBe(0);
      }
    }
  });

  it("refuses what Codec.pack refuses", async () => {
    const [engine] = machines();
    const q4 = CODECS["q4s-g32"];
    const numbers = sampleNumbers(q4, 3, 40);
    if (numbers.kind !== "integer") throw new Error("q4 has codes");
    const out = new Uint8Array(q4.packedBytes(3, 40));
    const pack = (change: object) => engine.offline.pack(codecForm(q4), { ...numbers, ...change }, out);
    await pack({});
    await expect(pack({ codes: numbers.codes.with(41, 16) })).rejects.toThrow(/code out of range at 41/);
    await expect(pack({ scales: numbers.scales.with(2, 0.1) })).rejects.toThrow(/f16 number at 2/);
    await expect(pack({ scales: numbers.scales.with(5, Number.POSITIVE_INFINITY) })).rejects.toThrow(/at 5/);
    await refusesTwoLevels(engine);
    const values = new Float32Array(120).with(77, 1e30);
    const half = { rows: 3, cols: 40, values };
    const room = new Uint8Array(CODECS.f16.packedBytes(3, 40));
    await expect(engine.offline.pack(codecForm(CODECS.f16), half, room)).rejects.toThrow(/not finite as stored at 77/);
    await expect(engine.offline.pack(codecForm(CODECS.f16), half, room)).rejects.toThrow(RangeError);
  });
});
