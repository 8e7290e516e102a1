import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normalizeRows, readNorm } from "../../src/calibration/normalize-rows.ts";
import type { LinearSpec, MlpSpec, NormSpec } from "../../src/model/decoder-spec.ts";
import type { BlockRole } from "../../src/model/matrix-id.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import type { AnyExecutor, RunBlocksOptions } from "../../src/runtime/executor.ts";
import { Random } from "../../src/tensor/random.ts";
import { geluErf, geluTanh, matMul, silu } from "../references/ops.ts";
import { maxDifference } from "./compare.ts";
import { SHAPES } from "./executor-cases.ts";
import { randomSource, smallSpec } from "./random-model.ts";
import { executorsOf, TEST_EXECUTORS } from "./test-executors.ts";

const WIDTH = 16;
const TOLERANCE = 2e-5;
const ACTIVATIONS: Record<MlpSpec["activation"], (x: number) => number> = {
  silu,
  "gelu-erf": geluErf,
  "gelu-tanh": geluTanh,
  relu: (x) => Math.max(0, x),
};

/** What the observer saw, by the first of the matrices. */
type Seen = Map<string, { matrices: readonly string[]; cols: number; data: Float32Array }>;

function states(rows: number, seed = 3): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: rows * WIDTH }, () => random.nextNormal());
}

/** Runs one pass over sequences of these lengths; its output, and the inputs seen. */
async function observe(
  executor: AnyExecutor,
  x: Float32Array,
  lengths: readonly number[],
  options: RunBlocksOptions & { from?: number; to?: number } = {},
): Promise<{ output: Float32Array; seen: Seen }> {
  const { from = 0, to = 1, ...rest } = options;
  const seen: Seen = new Map();
  const hidden = executor.write(x, x.length / WIDTH);
  const spans = lengths.map((count) => ({ cache: null, position: 0, count }));
  const output = await executor.runBlocks(hidden, from, to, spans, {
    ...rest,
    inputs: async ({ block, matrices, rows, cols, data }) => {
      expect(data).toHaveLength(rows * cols);
      expect(matrices.every((id) => id.startsWith(`blocks.${block}.`))).toBe(true);
      expect(seen.has(matrices[0])).toBe(false);
      // The array is the observer's until it is done.
      const copy = data.slice();
      await new Promise(setImmediate);
      expect(data).toEqual(copy);
      seen.set(matrices[0], { matrices, cols, data: copy });
    },
  });
  const numbers = await executor.read(output);
  for (const state of [hidden, output]) executor.release(state);
  return { output: numbers, seen };
}

/** Plain arithmetic on block 0 of a source. */
function reference(source: WeightSource) {
  const linear = async (x: Float32Array, role: BlockRole, spec: LinearSpec) => {
    const weights = await source.readRows(`blocks.0.${role}`, 0, spec.rows);
    const bias = spec.bias ? await source.readVector(`blocks.0.${role}.bias`) : undefined;
    return matMul(x, weights, x.length / spec.cols, spec.cols, bias);
  };
  const normed = async (x: Float32Array, part: string, spec: NormSpec | null) =>
    spec ? normalizeRows(x, await readNorm(source, `blocks.0.${part}`, spec)) : x;
  const { residualFactor } = source.spec.blocks[0];
  const add = (a: Float32Array, b: Float32Array) => a.map((value, i) => value + residualFactor * b[i]);
  return { linear, normed, add };
}

/** Checks what was seen of block 0, and its output, against plain arithmetic on what was seen before. */
async function expectConsistent(source: WeightSource, x: Float32Array, output: Float32Array, seen: Seen) {
  const { linear, normed, add } = reference(source);
  const { attention, attentionNorms, mlp, mlpNorms, residual } = source.spec.blocks[0];
  if (!attention || !mlp) throw new Error("the small model has both parts");
  const dataOf = (id: string) => seen.get(`blocks.0.${id}`)?.data ?? new Float32Array(0);
  const first = await normed(x, "attn.norm", attentionNorms.pre);
  expect(maxDifference(dataOf("attn.q"), first)).toBeLessThan(TOLERANCE);
  const mixed = await linear(dataOf("attn.o"), "attn.o", attention.o);
  const attended = add(x, await normed(mixed, "attn.postNorm", attentionNorms.post));
  const shared = residual === "parallel" && !mlpNorms.pre;
  const mlpInput = shared ? first : await normed(residual === "parallel" ? x : attended, "mlp.norm", mlpNorms.pre);
  const seenMlp = shared ? dataOf("attn.q") : dataOf(mlp.gate ? "mlp.gate" : "mlp.up");
  expect(maxDifference(seenMlp, mlpInput)).toBeLessThan(TOLERANCE);
  const up = await linear(mlpInput, "mlp.up", mlp.up);
  const gate = mlp.gate && (await linear(mlpInput, "mlp.gate", mlp.gate));
  const activate = ACTIVATIONS[mlp.activation];
  const inner = up.map((value, i) => (gate ? activate(gate[i]) * value : activate(value)));
  expect(maxDifference(dataOf("mlp.down"), inner)).toBeLessThan(TOLERANCE);
  const lowered = await linear(inner, "mlp.down", mlp.down);
  const expected = add(attended, await normed(lowered, "mlp.postNorm", mlpNorms.post));
  expect(maxDifference(output, expected)).toBeLessThan(5 * TOLERANCE);
}

describe.each(TEST_EXECUTORS)("inputs of matrices, as %s shows them", (kind) => {
  const openExecutor = executorsOf(kind, "streamed");

  it("are what plain arithmetic multiplies, and watching changes no bit", async () => {
    const property = fc.asyncProperty(SHAPES, fc.boolean(), async (shape, sharedNorm) => {
      const source = randomSource(smallSpec({ ...shape, sharedNorm: sharedNorm && shape.residual === "parallel" }));
      const executor = await openExecutor(source);
      try {
        const x = states(12);
        const { output, seen } = await observe(executor, x, [7, 1, 4]);
        await expectConsistent(source, x, output, seen);
        const hidden = executor.write(x, 12);
        const spans = [7, 1, 4].map((count) => ({ cache: null, position: 0, count }));
        const unwatched = await executor.runBlocks(hidden, 0, 1, spans);
        expect(await executor.read(unwatched)).toEqual(output);
        for (const state of [hidden, unwatched]) executor.release(state);
      } finally {
        await executor.dispose();
      }
    });
    await fc.assert(property, { numRuns: 12 });
  });

  it("come in the order of the pass, however it is cut, block after block", async () => {
    const executor = await openExecutor(randomSource(smallSpec({ residual: "parallel" })));
    try {
      const lengths = [150, 1, 129];
      const x = states(280);
      const whole = await observe(executor, x, lengths, { to: 2 });
      expect([...whole.seen.keys()].map((id) => id.split(".")[1])).toEqual([..."00001111"]);
      let row = 0;
      for (const length of lengths) {
        const part = x.subarray(row * WIDTH, (row + length) * WIDTH);
        const alone = await observe(executor, part, [length], { to: 2 });
        for (const [id, { cols, data }] of alone.seen) {
          const rows = whole.seen.get(id)?.data.subarray(row * cols, (row + length) * cols) ?? [];
          expect(maxDifference(rows, data)).toBeLessThan(kind === "native" ? Number.MIN_VALUE : TOLERANCE);
        }
        row += length;
      }
    } finally {
      await executor.dispose();
    }
  });

  it("are those of the parts that run", async () => {
    const spec = smallSpec({ residual: "parallel", sharedNorm: true });
    const [block] = spec.blocks;
    const source = randomSource({
      ...spec,
      blocks: [block, { ...block, attention: null, attentionNorms: { pre: null, post: null } }],
    });
    const executor = await openExecutor(source).catch(() => null);
    if (!executor) throw new Error("blocks need not be alike");
    try {
      const skip = (attention: boolean, mlp: boolean) => ({
        skip: { attention: [attention, false], mlp: [mlp, false] },
      });
      const ids = async (options: RunBlocksOptions & { from?: number; to?: number }) => {
        const { seen } = await observe(executor, states(5), [5], options);
        return [...seen.values()].map(({ matrices }) => matrices.map((id) => id.split(".").slice(2).join(".")));
      };
      expect(await ids(skip(true, false))).toEqual([["mlp.gate", "mlp.up"], ["mlp.down"]]);
      expect(await ids(skip(false, true))).toEqual([["attn.q", "attn.k", "attn.v"], ["attn.o"]]);
      expect(await ids(skip(true, true))).toEqual([]);
      expect(await ids({ from: 1, to: 2 })).toEqual([["mlp.gate", "mlp.up"], ["mlp.down"]]);
    } finally {
      await executor.dispose();
    }
  });

  it("let an observer's error through, and run on afterwards", async () => {
    const executor = await openExecutor(randomSource(smallSpec()));
    try {
      const hidden = executor.write(states(4), 4);
      const pass = executor.runBlocks(hidden, 0, 2, [{ cache: null, position: 0, count: 4 }], {
        inputs: () => Promise.reject(new Error("seen enough")),
      });
      await expect(pass).rejects.toThrow("seen enough");
      executor.release(hidden);
      expect((await observe(executor, states(4), [4], { to: 2 })).seen.size).toBe(8);
    } finally {
      await executor.dispose();
    }
  });
});
