import { expect } from "vitest";
import { type Codec, TILE_ALIGN } from "../../src/codecs/codec.ts";
import { CODECS, type CodecId } from "../../src/codecs/index.ts";
import type { NativeEngine, NativeMatrix } from "../../src/native/addon.ts";
import { alignedBytes } from "../../src/native/aligned.ts";
import { codecForm } from "../../src/native/codec-form.ts";
import { loadNative } from "../../src/native/load.ts";
import { Random } from "../../src/tensor/random.ts";

const loaded = loadNative();

/** False where the addon is not built or switched off: the tests of this folder are then skipped. */
export const HAS_ADDON = loaded.addon !== null;
/** The one line that says so: the name of a skipped suite. */
export const ADDON_STATE = loaded.addon ? "native addon" : `native addon: skipped, ${loaded.reason}`;

/** Instruction sets of this machine, slowest first; none without the addon. */
export const ISAS: readonly string[] = (loaded.addon?.isas ?? [])
  .filter(({ unavailable }) => unavailable === null)
  .map(({ name }) => name);

/** The addon itself; only for tests that are skipped without it. */
export function theAddon() {
  if (!loaded.addon) throw new Error(loaded.reason);
  return loaded.addon;
}

/** The binary that this process loaded. */
export const ADDON_FILE: string = loaded.addon ? loaded.file : "";

const engines = new Map<string, NativeEngine>();

/** An engine of one table, shared by the tests of a file. */
export function engineOf(isa: string, threads = 1): NativeEngine {
  const key = `${isa} ${threads}`;
  const engine = engines.get(key) ?? theAddon().createEngine({ isa, threads });
  engines.set(key, engine);
  return engine;
}

export type Numbers = Float32Array | Int32Array | Int8Array | Uint8Array | Uint16Array;

/** Runs on every table of this machine, demands the same bits of all, and returns them. */
export function onEveryIsa<T extends Numbers>(run: (engine: NativeEngine) => T): T {
  return sameBits(ISAS.map((isa) => run(engineOf(isa))));
}

/** The first of the results of every table; the others must have its bits. */
export function sameBits<T extends Numbers>(results: readonly T[]): T {
  for (const [i, result] of results.entries()) expectBits(result, results[0], `${ISAS[i]} against ${ISAS[0]}`);
  return results[0];
}

/** The same numbers bit by bit; tells the first that differs. */
export function expectBits(found: Numbers, expected: Numbers, what: string): void {
  if (Buffer.compare(bytesOf(found), bytesOf(expected)) === 0) return;
  expect(found.length, what).toBe(expected.length);
  const at = found.findIndex((x, i) => !Object.is(x, expected[i]));
  expect(`[${at}] ${found[at]}`, `${what}, first difference`).toBe(`[${at}] ${expected[at]}`);
  expect.fail(`${what}: NaNs of different bits`);
}

/** Every number within its bound of the exact one; returns the largest share of a bound that was used. */
export function expectWithin(
  found: Float32Array,
  { values, bounds }: { readonly values: Float64Array; readonly bounds: Float64Array },
  what: string,
): number {
  expect(found.length, what).toBe(values.length);
  let largest = 0;
  for (let i = 0; i < values.length; i++) {
    const error = Math.abs(found[i] - values[i]);
    if (!(error <= bounds[i])) expect.fail(`${what}: [${i}] ${found[i]}: expected ${values[i]} within ${bounds[i]}`);
    if (error > 0) largest = Math.max(largest, error / bounds[i]);
  }
  return largest;
}

function bytesOf(numbers: Numbers): Uint8Array {
  return new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
}

/** Packed bytes as the addon takes them, 64-byte aligned. */
export function nativeMatrix(codec: Codec, rows: number, cols: number, packed: Uint8Array): NativeMatrix {
  const bytes = alignedBytes(packed.length);
  bytes.set(packed);
  expect(packed.length % TILE_ALIGN).toBe(0);
  return { ...codecForm(codec), rows, cols, bytes };
}

/** Every codec with its id. */
export const EVERY_CODEC: readonly { id: string; codec: Codec }[] = Object.entries(CODECS).map(([id, codec]) => ({
  id,
  codec,
}));
export const INTEGER_CODECS = EVERY_CODEC.filter(({ codec }) => codec.scheme !== "float");

/** The codec of an id of the table. */
export const codecNamed = (id: CodecId): Codec => CODECS[id];

/** Standard normal numbers. */
export function normals(length: number, name: string, scale = 1): Float32Array {
  const random = new Random(11).fork(name);
  return Float32Array.from({ length }, () => scale * random.nextNormal());
}
