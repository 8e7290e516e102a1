import path from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type OpenMaths, openMaths } from "../../../src/maths/open-maths.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import { linearsOf } from "../../../src/model/decoder-spec.ts";
import type { LowRankPart } from "../../../src/model/low-rank.ts";
import type { WeightSource } from "../../../src/model/weight-source.ts";
import { openTrainingBackend } from "../../../src/runtime/tfjs/backend.ts";
import { loadFrozenBlock } from "../../../src/training/tuning/block/frozen-block.ts";
import type { LowRank } from "../../../src/training/tuning/block/low-rank.ts";
import { RowBuffers } from "../../../src/training/tuning/block/row-buffers.ts";
import { runWindow } from "../../../src/training/tuning/window-passes.ts";
import { normals } from "../../native/engines.ts";
import { ARCHITECTURES, architectureNames } from "../../support/fixtures.ts";
import { twinWindow } from "./window-twin.ts";

let maths: OpenMaths;
beforeAll(async () => {
  maths = await openMaths({ threads: 1 });
  await openTrainingBackend({ backend: "cpu" });
});
afterAll(() => maths[Symbol.dispose]());

const ROWS = 19;

/** Additions to every matrix of a block. */
function partsOf({ spec }: WeightSource, [first, end]: readonly [number, number], rank: number): LowRankPart[] {
  return spec.blocks.slice(first, end).flatMap((block, i) =>
    linearsOf(block).map(({ role, linear }): LowRankPart => {
      const name = `${i} ${role}`;
      return {
        ...{ block: first + i, role, rank, factor: 1.5 },
        a: normals(rank * linear.cols, `a ${name}`, 0.1),
        b: normals(rank * linear.rows, `b ${name}`, 0.1),
      };
    }),
  );
}

function learned(part: LowRankPart): LowRank {
  return { part, slopes: { a: new Float32Array(part.a.length), b: new Float32Array(part.b.length) } };
}

/** max |found - wanted| over the largest |wanted|. */
function relativeError(found: Float32Array, wanted: Float32Array): number {
  let [error, size] = [0, 0];
  for (let i = 0; i < wanted.length; i++) {
    error = Math.max(error, Math.abs(found[i] - wanted[i]));
    size = Math.max(size, Math.abs(wanted[i]));
  }
  return error / size;
}

describe.each(architectureNames())("window of %s", (name) => {
  it.each([false, true])("output and slopes are TensorFlow.js' own (recompute: %s)", async (recompute) => {
    const source = await openCheckpoint(path.join(ARCHITECTURES, name));
    try {
      const range = [0, source.spec.blocks.length] as const;
      const parts = partsOf(source, range, 3);
      const additions = parts.map(learned);
      const { hiddenSize } = source.spec;
      const [x, d] = [normals(ROWS * hiddenSize, "x"), normals(ROWS * hiddenSize, "d")];
      const twin = await twinWindow(source, range, { x, d, parts });
      const buffers = new RowBuffers(ROWS);
      const blocks = await Promise.all(source.spec.blocks.map((_, block) => loadFrozenBlock(source, block)));
      const run = await runWindow(
        { maths, buffers, recompute },
        {
          ...{ spec: source.spec, blocks },
          additions: blocks.map(
            (_, block) =>
              new Map(additions.filter(({ part }) => part.block === block).map((one) => [one.part.role, one])),
          ),
        },
        x,
      );
      expect(relativeError(run.output, twin.output)).toBeLessThan(2e-5);
      await run.backward(d.slice());
      for (const [i, { part, slopes }] of additions.entries()) {
        const label = `${part.block} ${part.role}`;
        expect(relativeError(slopes?.a ?? new Float32Array(), twin.slopes[i].a), `${label} a`).toBeLessThan(1e-4);
        expect(relativeError(slopes?.b ?? new Float32Array(), twin.slopes[i].b), `${label} b`).toBeLessThan(1e-4);
      }
    } finally {
      await source.close();
    }
  });
});
