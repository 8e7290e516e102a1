import { closeSync, existsSync, openSync, truncateSync, writeFileSync, writeSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { NativeMatrix } from "../../src/native/addon.ts";
import { alignedBytes } from "../../src/native/aligned.ts";
import type { NativeStreamedPart } from "../../src/native/streamed-parts.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { ADDON_STATE, engineOf, expectBits, HAS_ADDON, ISAS, theAddon } from "./engines.ts";
import { BAD_SIZES, changed, expectRefused, type Loose } from "./refusals.ts";
import { randomMatrix, TINY, TINY_SHAPE, tinyBlock, tinyModel, tinyPass } from "./tiny-model.ts";

const root = temporaryFolder();
const file = path.join(root, "weights");
const PAGE = 4096;
const HEADS = 5;
const WIDTH = 64;
const engine = () => engineOf(ISAS[ISAS.length - 1]);

/** Heads of some ids whose matrices lie in the file, a head every two pages. */
const matrices = () => Array.from({ length: HEADS }, (_, i) => randomMatrix(WIDTH, TINY.hidden, `head ${i}`));
const partOf = (i: number, buffer: Uint8Array): NativeStreamedPart => ({
  file,
  offset: 2 * i * PAGE,
  bytes: matrices()[i].bytes.length,
  buffer,
});

/** A model whose heads take turns in two buffers. */
function streamedHeads() {
  const buffers = [alignedBytes(2 * PAGE), alignedBytes(2 * PAGE)];
  const model = engine().createModel(TINY_SHAPE);
  model.setStream(matrices().map((_, i) => partOf(i, buffers[i % 2])));
  matrices().forEach((matrix, i) => {
    const bytes = buffers[i % 2].subarray(0, matrix.bytes.length);
    model.setHead(`h${i}`, { norm: null, linear: { matrix: { ...matrix, bytes }, bias: null }, part: i });
  });
  const context = engine().createContext({ activations: "f32" });
  const input = new Float32Array(TINY.hidden).map((_, i) => Math.cos(i));
  const ask = async (i: number) => {
    const output = new Float32Array(WIDTH);
    await context.logits(model, { input, rows: Int32Array.of(0), head: `h${i}`, norm: false, output });
    return output;
  };
  const expected = (matrix: NativeMatrix) => {
    const output = new Float32Array(WIDTH);
    engine().product(matrix, input, output);
    return output;
  };
  return { model, ask, expected: matrices().map(expected) };
}

describe.skipIf(!HAS_ADDON)(`parts that are streamed (${ADDON_STATE})`, () => {
  beforeAll(() => {
    const bytes = new Uint8Array(2 * HEADS * PAGE);
    matrices().forEach((matrix, i) => {
      bytes.set(matrix.bytes, 2 * i * PAGE);
    });
    writeFileSync(file, bytes);
  });

  it("are there whenever they are used, in any order", async () => {
    const { model, ask, expected } = streamedHeads();
    const orders = [
      [0, 1, 2, 3, 4, 0, 1],
      [0, 0, 0],
      [4, 3, 2, 1, 0],
      [1, 3, 1, 3, 1, 3],
      [2, 0, 4, 2, 0, 4, 2, 1],
    ];
    for (const i of orders.flat()) expectBits(await ask(i), expected[i], `head ${i}`);
    const state = model.streamState() ?? expect.fail("no stream");
    expect(state.failure).toBeNull();
    expect(state.readBytes % matrices()[0].bytes.length).toBe(0);
    model.dispose();
  });

  it("that are foreseen are read once, and those of a loop that fits the buffers only the first time", async () => {
    const { model, ask } = streamedHeads();
    for (let i = 0; i < 20; i++) await ask(i % 2);
    const readings = (model.streamState()?.readBytes ?? 0) / matrices()[0].bytes.length;
    expect(readings).toBeLessThanOrEqual(2 * HEADS);
    model.dispose();
  });

  it("end a pass where the file is cut short, and serve the next where it is whole again", async () => {
    const whole = { ...partOf(1, alignedBytes(2 * PAGE)), file: path.join(root, "short") };
    writeFileSync(whole.file, new Uint8Array(4 * PAGE));
    const model = engine().createModel(TINY_SHAPE);
    model.setStream([whole]);
    const bytes = whole.buffer.subarray(0, whole.bytes);
    model.setHead("h", { norm: null, linear: { matrix: { ...matrices()[1], bytes }, bias: null }, part: 0 });
    const context = engine().createContext({ activations: "f32" });
    const ask = () => {
      const call = { rows: Int32Array.of(0), head: "h", norm: false, output: new Float32Array(WIDTH) };
      return context.logits(model, { input: new Float32Array(TINY.hidden), ...call });
    };
    truncateSync(whole.file, 2 * PAGE + 100);
    for (let i = 0; i < 2; i++) await expect(ask()).rejects.toThrow(/short: weights could not be read/);
    expect(model.streamState()?.failure).toEqual({
      ...{ file: whole.file, code: "ESHORT", expectedBytes: 2 * PAGE + whole.bytes, foundBytes: 2 * PAGE + 100 },
    });
    const handle = openSync(whole.file, "r+");
    writeSync(handle, new Uint8Array(2 * PAGE), 0, 2 * PAGE, 2 * PAGE);
    closeSync(handle);
    await expect(ask()).resolves.toBe(true);
    model.dispose();
  });

  it.skipIf(!existsSync("/proc/self/mem"))("end a pass where the system cannot read them", async () => {
    // Address 0 is nobody's: reading there is an error of the system.
    const model = engine().createModel(TINY_SHAPE);
    model.setStream([{ ...partOf(0, alignedBytes(2 * PAGE)), file: "/proc/self/mem" }]);
    for (let i = 0; i < TINY.blocks; i++) model.setBlock(i, i === 1 ? { ...tinyBlock(), part: 0 } : tinyBlock());
    const context = engine().createContext({ activations: "int8" });
    const cache = model.createCache({ maxTokens: 8, kvType: "f32" });
    await expect(context.run(model, tinyPass(cache))).rejects.toThrow("/proc/self/mem: weights could not be read");
    expect(model.streamState()?.failure).toMatchObject({ file: "/proc/self/mem", code: "EIO" });
    expect([cache.length(0), cache.length(1)]).toEqual([3, 0]);
    model.dispose();
  });

  it("are refused where they are none", async () => {
    const buffer = alignedBytes(2 * PAGE);
    const part = partOf(0, buffer);
    const { model } = tinyModel(engine());
    const wrong: Loose[] = [
      ...BAD_SIZES.map((offset) => ({ offset: offset === 2 ** 31 ? 1 : offset })),
      ...BAD_SIZES.filter((bytes) => bytes !== 1.5).map((bytes) => ({ bytes })),
      { offset: 64 },
      { bytes: 2 * PAGE + 1 },
      { buffer: buffer.subarray(64) },
      { buffer: new Uint8Array(2 * PAGE) },
      { buffer: null },
      { file: 3 },
      { file: "a\0b" },
      { file: path.join(root, "none") },
      { file: root },
    ];
    for (const [i, fields] of wrong.entries()) {
      await expectRefused(() => model.setStream([changed(part, fields)]), /./, `part ${i}`);
    }
    await expectRefused(() => model.setStream([]), /parts/);
    await expectRefused(() => model.setBlock(0, { ...tinyBlock(), part: 0 }), /part/);
    expect(model.streamState()).toBeNull();
    model.setStream([part]);
    await expectRefused(() => model.setStream([part]), /given already/);
    model.setBlock(0, { ...tinyBlock(), part: 0 });
    await expectRefused(() => model.setBlock(0, { ...tinyBlock(), part: 1 }), /part/);
  });

  it("readFile gives what the file holds, and says what it does not", () => {
    const { readFile } = theAddon();
    expect(new Uint8Array(readFile(file, 2 * PAGE, 100)).subarray(0, 100)).toEqual(
      matrices()[1].bytes.subarray(0, 100),
    );
    expect(() => readFile(file, 0, 2 * HEADS * PAGE + 1)).toThrow(/expected at least 40961 bytes, found 40960/);
    expect(() => readFile(path.join(root, "none"), 0, 1)).toThrow(/cannot be read: No such file/);
    expect(() => readFile(root, 0, 1)).toThrow(/cannot be read: Is a directory/);
    expect(() => readFile(file, 1, 1)).toThrow(/offset: expected a multiple of 4096, found 1/);
  });
});
