import { cpSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { addExits } from "../../../src/artifact/exits/add.ts";
import type { ExitsContents } from "../../../src/artifact/exits/file.ts";
import { openArtifact } from "../../../src/artifact/reader.ts";
import { exitHeadName } from "../../../src/decoding/exits/exit-set.ts";
import { loadExits, readExits } from "../../../src/decoding/exits/load.ts";
import { headMatrixId } from "../../../src/model/decoder-spec.ts";
import { type ExitShape, exitIds } from "../../../src/model/exit-bytes.ts";
import { Random } from "../../../src/tensor/random.ts";
import { TINY_SHAPE, tinyContents, tinyTable } from "../../artifact/exits/tiny-exits.ts";
import { makeArtifact } from "../../artifact/make-artifact.ts";
import { tinySpec } from "../../artifact/tiny-source.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { executorsOf, TEST_EXECUTORS } from "../../runtime/test-executors.ts";

const base = temporaryFolder();
const spec = tinySpec(false);
const ROWS = 3;
const hidden = Float32Array.from({ length: ROWS * 48 }, () => 0);
const random = new Random(5);
for (const i of hidden.keys()) hidden[i] = 2 * random.next() - 1;

const FULL: ExitShape = { ...TINY_SHAPE, vocabulary: "full" };

async function artifactWith(name: string, shape: ExitShape): Promise<string> {
  const folder = path.join(base, name);
  cpSync(path.join(base, "plain"), folder, { recursive: true });
  await addExits(folder, { table: tinyTable(spec, shape), contents: tinyContents(spec, shape) });
  return folder;
}

beforeAll(async () => {
  await makeArtifact(base, "plain");
});

/** The logits of one exit by the formulas of docs/artifact-format.md, in f64. `head`: [vocabulary, hidden]. */
function expectedLogits(
  { ids, exits }: ExitsContents,
  shape: ExitShape,
  exit: number,
  head: { readonly matrix: Float32Array; readonly bias: Float32Array },
): number[][] {
  const { norm, normBias, tail, down, up, matrix } = exits[exit];
  const dot = (a: ArrayLike<number>, from: number, b: readonly number[]) =>
    b.reduce((sum, x, i) => sum + a[from + i] * x, 0);
  return Array.from({ length: ROWS }, (_, row) => {
    const h = [...hidden.subarray(row * 48, (row + 1) * 48)];
    const mean = h.reduce((sum, x) => sum + x, 0) / 48;
    const variance = h.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 48;
    let x = h.map((v, i) => ((v - mean) / Math.sqrt(variance + 1e-5)) * (norm?.[i] ?? 1) + (normBias?.[i] ?? 0));
    if (down && up) {
      const rank = down.length / 48;
      const inner = Array.from({ length: rank }, (_, r) => dot(down, r * 48, x)).map((v) => v / (1 + Math.exp(-v)));
      x = x.map((v, i) => v + dot(up, i * rank, inner));
    }
    const logits = Array.from({ length: exitIds(spec, shape) }, (_, j) => {
      const id = ids ? ids[j] : j;
      return (matrix ? dot(matrix, j * 48, x) : dot(head.matrix, id * 48, x)) + head.bias[id];
    });
    return tail ? [...logits, dot(tail, 0, x) + tail[48]] : logits;
  });
}

describe.each(TEST_EXECUTORS)("exits of an artifact on %s", (kind) => {
  it.each([
    ["some ids", TINY_SHAPE],
    ["the full vocabulary", FULL],
  ] as const)("compute what the format says, over %s", async (name, shape) => {
    const artifact = await openArtifact(await artifactWith(`${kind} ${name}`, shape));
    const executor = await executorsOf(kind, "packed")(artifact);
    const state = executor.write(hidden, ROWS);
    try {
      const exits = await readExits(artifact);
      if (!exits) throw new Error("the artifact has no exits");
      const names = await loadExits(executor, exits);
      expect(names).toEqual(["exit.1", "exit.2"]);
      const head = {
        matrix: await artifact.readRows(headMatrixId(spec), 0, spec.vocabSize),
        bias: await artifact.readVector("head.bias"),
      };
      for (const [i, headName] of names.entries()) {
        const expected = expectedLogits(tinyContents(spec, shape), shape, i, head).flat();
        const found = await executor.logits(state, undefined, { head: headName });
        expect(found).toHaveLength(expected.length);
        const error = Math.max(...expected.map((x, j) => Math.abs(x - found[j])));
        expect(error).toBeLessThan(1e-4 * Math.max(...expected.map(Math.abs)));
      }
    } finally {
      executor.release(state);
      await executor.dispose();
      await artifact.close();
    }
  });
});

describe("readExits", () => {
  it("loads nothing for exits that share the output head, which reads the state there as it is", async () => {
    const shared = { kind: "shared" as const, rank: null };
    const artifact = await openArtifact(await artifactWith("lens", { exits: [shared, shared], vocabulary: "full" }));
    const exits = await readExits(artifact);
    const executor = await executorsOf(TEST_EXECUTORS[0], "packed")(artifact);
    expect(exits?.heads).toEqual([null, null]);
    expect(exits && (await loadExits(executor, exits))).toEqual(["output", "output"]);
    await executor.dispose();
    await artifact.close();
  });

  it("holds the rows of the output head once for all exits, and gives none where there are none", async () => {
    const shape: ExitShape = { exits: [TINY_SHAPE.exits[0], TINY_SHAPE.exits[0]], vocabulary: { ids: 20 } };
    const artifact = await openArtifact(await artifactWith("shared", shape));
    const exits = await readExits(artifact);
    await artifact.close();
    expect(exits?.heads[0]?.matrix).toBe(exits?.heads[1]?.matrix);
    expect(exits?.heads[0]?.matrix.rows).toBe(20);
    expect(exits?.ids).toHaveLength(20);
    expect([exitHeadName(8, "adapter"), exitHeadName(8, "shared")]).toEqual(["exit.8", "output"]);
    const plain = await openArtifact(path.join(base, "plain"));
    expect(await readExits(plain)).toBeNull();
    await plain.close();
  });
});
