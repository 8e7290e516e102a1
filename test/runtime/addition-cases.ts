import { expect, it } from "vitest";
import { CODECS } from "../../src/codecs/index.ts";
import { adaptedSource } from "../../src/model/adapted-source.ts";
import { linearsOf, type NormSpec } from "../../src/model/decoder-spec.ts";
import type { LowRankPart } from "../../src/model/low-rank.ts";
import type { DenseMatrix, Matrix, WeightSource } from "../../src/model/weight-source.ts";
import type { AnyExecutor } from "../../src/runtime/executor.ts";
import { Random } from "../../src/tensor/random.ts";
import { layerNorm, matMul, rmsNorm } from "../references/ops.ts";
import { randomParts } from "../support/adapters.ts";
import { logitsOf, maxDifference } from "./compare.ts";
import { tokens, type WithExecutor } from "./executor-cases.ts";
import { packedSource, packRounded, randomSource, type Shape, smallSpec, unpackedSource } from "./random-model.ts";

const RANK = 3;
const FACTOR = 0.75;

function normals(length: number, name: string, scale = 1): Float32Array {
  const random = new Random(9).fork(name);
  return Float32Array.from({ length }, () => scale * random.nextNormal());
}

/** Low-rank additions to every matrix of block 1 but the value projection, and to one of block 0. */
function adapterParts({ spec }: WeightSource): LowRankPart[] {
  const all = spec.blocks.flatMap((block, i) => linearsOf(block).map(({ role, linear }) => ({ i, role, linear })));
  return all
    .filter(({ i, role }) => (i === 1 ? role !== "attn.v" : role === "mlp.up"))
    .map(({ i: block, role, linear: { rows, cols } }) => ({
      ...{ block, role, rank: RANK, factor: FACTOR },
      a: normals(RANK * cols, `a ${block} ${role}`, 0.3),
      b: normals(rows * RANK, `b ${block} ${role}`, 0.3),
    }));
}

/** The source with factor * B A added to the matrices themselves. */
function mergedSource(source: WeightSource, parts: readonly LowRankPart[]): WeightSource {
  const merge = (id: string, matrix: Matrix): Matrix => {
    const part = parts.find(({ block, role }) => id === `blocks.${block}.${role}`);
    if (!part || matrix.kind === "packed") return matrix;
    const { rows, cols, data } = matrix;
    const sum = data.map((value, i) => {
      const [row, col] = [Math.floor(i / cols), i % cols];
      let added = 0;
      for (let r = 0; r < part.rank; r++) added += part.b[row * part.rank + r] * part.a[r * cols + col];
      return value + part.factor * added;
    });
    return { kind: "dense", rows, cols, data: sum };
  };
  return { ...source, readMatrix: async (id) => merge(id, await source.readMatrix(id)) };
}

/** Logits of a whole sequence with an adapter. */
async function adaptedLogits(executor: AnyExecutor, ids: readonly number[], adapter: string): Promise<Float32Array> {
  const embedded = await executor.embed(Int32Array.from(ids));
  const span = { cache: null, position: 0, count: ids.length };
  const pass = executor.runBlocks(embedded, 0, executor.spec.blocks.length, [span], { adapter });
  const hidden = await pass.finally(() => executor.release(embedded));
  const logits = await executor.logits(hidden);
  executor.release(hidden);
  return logits;
}

/** Adapters and exit heads, against the plain maths. */
export function additionCases(withExecutor: WithExecutor): void {
  const shapes: Shape[] = [{}, { gated: false, residual: "parallel", norm: "layer", bias: true, sharedNorm: true }];
  it.each(shapes)("adds an adapter as if it were part of the matrices: %o", async (shape) => {
    const packed = await packedSource(randomSource(smallSpec({ ...shape, tied: true })), "q8s-g32");
    const dense = await unpackedSource(packed);
    const parts = adapterParts(packed);
    const ids = tokens(11);
    const expected = await withExecutor(mergedSource(dense, parts), {}, (executor) => logitsOf(executor, ids));
    for (const [source, residency] of [
      [packed, "packed"],
      [packed, "streamed"],
      [dense, "resident"],
      [dense, "streamed"],
    ] as const) {
      await withExecutor(source, { residency }, async (executor) => {
        const before = await logitsOf(executor, ids);
        await executor.loadAdapter("style", parts);
        const found = await adaptedLogits(executor, ids, "style");
        expect(maxDifference(found, expected)).toBeLessThan(2e-4);
        expect(maxDifference(before, expected)).toBeGreaterThan(0.1);
        // Without its name it is not there, and under its name another may take its place.
        expect(await logitsOf(executor, ids)).toEqual(before);
        await executor.loadAdapter("style", []);
        expect(await adaptedLogits(executor, ids, "style")).toEqual(before);
      });
    }
  });

  it("adds what the source itself adds in every pass, and under every adapter", async () => {
    const packed = await packedSource(randomSource(smallSpec({ tied: true })), "q8s-g32");
    const dense = await unpackedSource(packed);
    const own = adapterParts(packed);
    // Another rank and factor, and a matrix that the own ones leave alone.
    const more = randomParts(packed.spec, {
      rank: 2,
      factor: 1.5,
      scale: 0.3,
      has: (_, role) => role.startsWith("attn"),
    });
    const ids = tokens(11);
    const merged = (source: WeightSource) => withExecutor(source, {}, (executor) => logitsOf(executor, ids));
    const expected = await merged(mergedSource(dense, own));
    const both = await merged(mergedSource(mergedSource(dense, own), more));
    await withExecutor(adaptedSource(packed, own), {}, async (executor) => {
      expect(maxDifference(await logitsOf(executor, ids), expected)).toBeLessThan(2e-4);
      await executor.loadAdapter("more", more);
      expect(maxDifference(await adaptedLogits(executor, ids, "more"), both)).toBeLessThan(4e-4);
      expect(maxDifference(both, expected)).toBeGreaterThan(0.1);
      expect(maxDifference(await logitsOf(executor, ids), expected)).toBeLessThan(2e-4);
      await expect(executor.loadAdapter("own", more)).rejects.toThrow("the name is that of the source's own");
    });
    // An adapter on top of that of a source is one adapter.
    const sum = await merged(adaptedSource(adaptedSource(packed, own), more));
    expect(maxDifference(sum, both)).toBeLessThan(4e-4);
  });

  it("refuses adapters that do not fit", async () => {
    const source = randomSource(smallSpec({ gated: false }));
    await withExecutor(source, {}, async (executor) => {
      const [part] = adapterParts(source);
      const load = (change: Partial<LowRankPart>) => executor.loadAdapter("x", [{ ...part, ...change }]);
      await expect(load({ block: 2 })).rejects.toThrow("blocks.2.mlp.up: the model has no such matrix");
      await expect(load({ role: "mlp.gate" })).rejects.toThrow("blocks.0.mlp.gate: the model has no such matrix");
      await expect(load({ a: new Float32Array(1) })).rejects.toThrow("mlp.up: a: expected 48 numbers, found 1");
      await expect(load({ rank: 2 })).rejects.toThrow("mlp.up: a: expected 32 numbers, found 48");
      await expect(load({ factor: Number.NaN })).rejects.toThrow("finite factor");
      await expect(executor.loadAdapter("x", [part, part])).rejects.toThrow("expected once, found twice");
      await expect(adaptedLogits(executor, [1], "x")).rejects.toThrow("no adapter x is loaded");
    });
  });

  it.each(["rms", "layer", null] as const)("multiplies with exit heads over some ids, norm %s", async (kind) => {
    const spec = smallSpec();
    const norm: NormSpec | null = kind && { kind, size: 16, eps: 1e-5 };
    const weight = normals(16, "norm weight");
    const normBias = normals(16, "norm bias");
    const dense: DenseMatrix = { kind: "dense", rows: 21, cols: 16, data: normals(21 * 16, "head") };
    const packed = packRounded(dense, "q4s-g32");
    const x = normals(3 * 16, "hidden");
    const normed = kind === null ? x : kind === "rms" ? rmsNorm(x, weight, 1e-5) : layerNorm(x, weight, normBias, 1e-5);
    await withExecutor(randomSource(spec), { residency: "resident" }, async (executor) => {
      const hidden = executor.write(x, 3);
      for (const matrix of [dense, packed]) {
        for (const bias of [null, normals(21, "bias")]) {
          const given = norm && { spec: norm, weight, bias: kind === "layer" ? normBias : null };
          await executor.loadHead("exit", { norm: given, adapter: null, matrix, bias, tail: null });
          const numbers = matrix.kind === "dense" ? dense.data : CODECS["q4s-g32"].unpackRows(packed, 0, 21);
          const plain = (input: Float32Array) =>
            matMul(input, numbers, 3, 16).map((value, i) => value + (bias ? bias[i % 21] : 0));
          const found = await executor.logits(hidden, undefined, { head: "exit" });
          expect(maxDifference(found, plain(normed))).toBeLessThan(1e-4);
          const some = await executor.logits(hidden, Int32Array.of(2), { head: "exit", norm: false });
          expect(maxDifference(some, plain(x).subarray(2 * 21))).toBeLessThan(1e-4);
        }
      }
      await expect(executor.logits(hidden, undefined, { head: "none" })).rejects.toThrow("no head none is loaded");
      const head = { norm: null, adapter: null, matrix: dense, bias: null, tail: null };
      await expect(executor.loadHead("output", head)).rejects.toThrow("the name is the output head's");
      const narrow = { ...dense, cols: 8 };
      await expect(executor.loadHead("x", { ...head, matrix: narrow })).rejects.toThrow("expected 16 columns, found 8");
      await expect(executor.loadHead("x", { ...head, bias: x })).rejects.toThrow("expected 21 numbers, found 48");
      executor.release(hidden);
    });
  });
}
