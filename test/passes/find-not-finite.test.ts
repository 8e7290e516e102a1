import { describe, expect, it } from "vitest";
import { normalizeRows, readNorm } from "../../src/calibration/normalize-rows.ts";
import { Session } from "../../src/decoding/session.ts";
import { matrixRows, type WeightSource } from "../../src/model/weight-source.ts";
import { firstNotFinite } from "../../src/passes/find-not-finite.ts";
import { quantizedOverlay } from "../../src/quantization/overlay.ts";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import { packedSource, randomSource, smallSpec } from "../runtime/random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { scaledSource } from "../support/scaled-source.ts";

const IDS = [3, 1, 4, 1, 5, 9, 2, 6];
const MODEL = randomSource(smallSpec());
const PACKED = await packedSource(MODEL, "q8s-g32");
/** Values of about 10^5, which the output projection makes small again. */
const LARGE_VALUES = scaledSource(MODEL, { "blocks.1.attn.v": 2 ** 17, "blocks.1.attn.o": 2 ** -17 });

/** The packed model; the first tile's scales of that matrix are NaN. */
function damagedSource(id: string): WeightSource {
  const damaged = async () => {
    const matrix = await PACKED.readMatrix(id);
    if (matrix.kind === "dense") throw new Error(`${id} is not packed`);
    return { ...matrix, bytes: matrix.bytes.slice().fill(0xff, 0, 32) };
  };
  return {
    ...PACKED,
    readMatrix: (wanted) => (wanted === id ? damaged() : PACKED.readMatrix(wanted)),
    readRows: async (wanted, from, to) =>
      wanted === id ? matrixRows(await damaged(), from, to) : PACKED.readRows(wanted, from, to),
  };
}

describe.each(TEST_EXECUTORS)("weights-nan, kv-f16-overflow: logits that are not finite (%s)", (kind) => {
  async function withExecutor<T>(source: WeightSource, work: (executor: AnyExecutor) => Promise<T>): Promise<T> {
    const executor = await executorsOf(kind, "packed")(source);
    try {
      return await work(executor);
    } finally {
      await executor.dispose();
    }
  }

  it.each([
    ["embedding", "embedding"],
    ["blocks.0.attn.k", "blocks.0"],
    ["blocks.1.mlp.down", "blocks.1"],
    ["head", "output head"],
  ])("come from %s: the line names the %s and verify, whatever is asked", (id, where) =>
    withExecutor(damagedSource(id), async (executor) => {
      for (const wanted of ["best", "logits"] as const) {
        using session = new Session(executor, { contextTokens: 16, kvType: "f16" });
        await expect(session.feedFor(wanted, IDS)).rejects.toMatchObject({
          ...{ name: "UserError", code: "LOGITS_NOT_FINITE", hint: expect.stringContaining("layerwise verify") },
          message: `${where}: expected finite numbers, found NaN or infinity`,
        });
        expect(session.length).toBe(0);
      }
    }),
  );

  it("come from values that f16 cannot hold: the line names block, type and --kv; f32 and q8 hold them", () =>
    withExecutor(LARGE_VALUES, async (executor) => {
      using session = new Session(executor, { contextTokens: 16, kvType: "f16" });
      await expect(session.feed(IDS)).rejects.toMatchObject({
        message: "blocks.1: keys and values in f16: expected finite numbers, found NaN or infinity",
        hint: "they are beyond its range: give --kv f32 or --kv q8",
      });
      for (const kvType of ["f32", "q8"] as const)
        expect(await firstNotFinite(executor, Int32Array.from(IDS), kvType)).toBeNull();
    }));

  it("are noticed where a key that f16 cannot hold has a score of -Infinity, and would be left out without a word", async () =>
    withExecutor(await withHiddenKey(), async (executor) => {
      for (const kvType of ["f32", "q8"] as const) {
        using session = new Session(executor, { contextTokens: 2, kvType });
        expect((await session.feed([0, 1])).every(Number.isFinite)).toBe(true);
      }
      using session = new Session(executor, { contextTokens: 2, kvType: "f16" });
      await expect(session.feed([0, 1])).rejects.toThrow("blocks.0: keys and values in f16");
    }));
});

/** One block in which token 1 sees the key of token 0, beyond f16, with a negative score of a few units. */
async function withHiddenKey(): Promise<WeightSource> {
  const source = randomSource(smallSpec({ blocks: 1, ropeDims: null, heads: 1, kvHeads: 1, headDim: 16 }));
  const norm = await readNorm(source, "blocks.0.attn.norm", source.spec.finalNorm);
  const normed = normalizeRows(await source.readRows("embedding", 0, 2), norm);
  const [first, second] = [normed.subarray(0, 16), normed.subarray(16)];
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, x, i) => sum + x * b[i], 0);
  const share = dot(first, second) / dot(second, second);
  const apart = first.map((x, i) => x - share * second[i]);
  // Only token 0 has a key, along the first channel; only token 1 asks for it, faintly.
  const key = apart.map((x) => (-(2 ** 17) * x) / dot(apart, apart));
  const query = second.map((x) => (2 ** -14 * x) / dot(second, second));
  const data = (row: Float32Array) => Float32Array.from({ length: 256 }, (_, i) => (i < 16 ? row[i] : 0));
  const replaced = new Map([
    ["blocks.0.attn.k", data(key)],
    ["blocks.0.attn.q", data(query)],
  ]);
  return quantizedOverlay(source, (id, matrix) => {
    const changed = replaced.get(id);
    return changed ? { ...matrix, data: changed } : null;
  });
}
