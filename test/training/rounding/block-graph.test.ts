import { beforeAll, describe, expect, it } from "vitest";
import { matricesOf, vectorsOf } from "../../../src/model/decoder-spec.ts";
import { denseMatrix, type WeightSource } from "../../../src/model/weight-source.ts";
import { openTrainingBackend } from "../../../src/runtime/tfjs/backend.ts";
import { Random } from "../../../src/tensor/random.ts";
import {
  type BlockBatch,
  type BlockWeight,
  blockGradients,
  blockLoss,
} from "../../../src/training/rounding/block-graph.ts";
import { randomSource, type Shape, smallSpec } from "../../runtime/random-model.ts";
import { executorsOf } from "../../runtime/test-executors.ts";
import { describeOnBackends } from "../../support/tensorflow.ts";

const SHAPES: Readonly<Record<string, Shape>> = {
  "gated, sequential": {},
  "plain MLP, layer norms, biases": { gated: false, norm: "layer", bias: true, activation: "gelu-erf" },
  "parallel, one norm": { residual: "parallel", sharedNorm: true, norm: "layer", gated: false },
  "parallel, two norms, window": { residual: "parallel", window: 3 },
  "norms of queries and keys": { qkNorm: true, heads: 4, kvHeads: 1 },
};
const COUNTS = [7, 4];
const ROWS = 11;

function normals(length: number, name: string): Float32Array {
  const random = new Random(11).fork(name);
  return Float32Array.from({ length }, () => random.nextNormal());
}

/** Weights of block 1, as the graph takes them. */
async function weightsOf(source: WeightSource): Promise<BlockWeight[]> {
  const weights: BlockWeight[] = [];
  for (const { id, rows, cols } of matricesOf(source.spec).filter(({ block }) => block === 1)) {
    const { data } = denseMatrix(await source.readMatrix(id));
    const values = Float32Array.from({ length: rows * cols }, (_, i) => data[(i % rows) * cols + Math.floor(i / rows)]);
    weights.push({ name: id.slice("blocks.1.".length), shape: [cols, rows], values });
  }
  for (const { id, length } of vectorsOf(source.spec).filter(({ block }) => block === 1)) {
    weights.push({ name: id.slice("blocks.1.".length), shape: [length], values: await source.readVector(id) });
  }
  return weights;
}

const batchOf = (hiddenSize: number): BlockBatch => ({
  counts: COUNTS,
  inputs: normals(ROWS * hiddenSize, "inputs"),
  targets: normals(ROWS * hiddenSize, "targets"),
});

describe("the loss of a block", () => {
  beforeAll(() => openTrainingBackend({}).then(() => undefined));

  it.each(Object.keys(SHAPES))("is the executor's output's distance from the targets: %s", async (name) => {
    const source = randomSource(smallSpec(SHAPES[name]));
    const batch = batchOf(source.spec.hiddenSize);
    const executor = await executorsOf("tfjs", "streamed")(source);
    const spans = COUNTS.map((count) => ({ cache: null, position: 0, count }));
    const output = await executor.read(await executor.runBlocks(executor.write(batch.inputs, ROWS), 1, 2, spans));
    await executor.dispose();
    const width = source.spec.hiddenSize;
    let expected = 0;
    for (let row = 0; row < ROWS; row++) {
      const [wanted, found] = [batch.targets, output].map((data) => data.subarray(row * width, (row + 1) * width));
      const error = found.reduce((sum, value, i) => sum + (value - wanted[i]) ** 2, 0);
      expected += error / wanted.reduce((sum, value) => sum + value * value, 0) / ROWS;
    }
    const loss = blockLoss(source.spec, 1, batch, await weightsOf(source));
    expect(Math.abs(loss / expected - 1)).toBeLessThan(1e-4);
  });

  it.each(Object.keys(SHAPES))("has the gradients that finite differences show: %s", async (name) => {
    const source = randomSource(smallSpec(SHAPES[name]));
    const batch = batchOf(source.spec.hiddenSize);
    const weights = await weightsOf(source);
    const { gradients, loss } = blockGradients(source.spec, 1, batch, weights, weights.length);
    expect(Math.abs(loss / blockLoss(source.spec, 1, batch, weights) - 1)).toBeLessThan(1e-5);
    weights.forEach((weight, i) => {
      // Along the gradient: what f32 loses in the difference is then smallest beside it.
      const length = Math.sqrt(gradients[i].reduce((sum, value) => sum + value * value, 0));
      const lossAt = (step: number) => {
        const values = weight.values.map((value, at) => value + (step * gradients[i][at]) / length);
        return blockLoss(source.spec, 1, batch, weights.with(i, { ...weight, values }));
      };
      const slope = (lossAt(0.01) - lossAt(-0.01)) / 0.02;
      expect(Math.abs(slope - length), weight.name).toBeLessThan(0.02 * length + 1e-4);
    });
  });

  describeOnBackends("on %s", (backend) => {
    it("gives the same gradients", async () => {
      const source = randomSource(smallSpec(SHAPES["plain MLP, layer norms, biases"]));
      const batch = batchOf(source.spec.hiddenSize);
      const weights = await weightsOf(source);
      await openTrainingBackend({});
      const expected = blockGradients(source.spec, 1, batch, weights, 3);
      await openTrainingBackend({ backend });
      const found = blockGradients(source.spec, 1, batch, weights, 3);
      expect(Math.abs(found.loss / expected.loss - 1)).toBeLessThan(1e-4);
      found.gradients.forEach((gradient, i) => {
        const worst = gradient.reduce(
          (most, value, at) => Math.max(most, Math.abs(value - expected.gradients[i][at])),
          0,
        );
        expect(worst).toBeLessThan(1e-4);
      });
      await openTrainingBackend({});
    });
  });
});
