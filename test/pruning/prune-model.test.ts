import path from "node:path";
import { describe, expect, it } from "vitest";
import { Interrupted } from "../../src/errors.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { idOf } from "../../src/model/matrix-id.ts";
import type { WeightSource } from "../../src/model/weight-source.ts";
import { canLose, keptCounts } from "../../src/pruning/counts.ts";
import { type BlockCut, cutSpec, UNCUT } from "../../src/pruning/cut.ts";
import { PRUNING_KIND_IDS, PRUNING_KINDS, type PruningKindId } from "../../src/pruning/index.ts";
import type { BlockPruning, PruningKind } from "../../src/pruning/kind.ts";
import { pruneModel } from "../../src/pruning/prune-model.ts";
import { PrunedBlocks } from "../../src/pruning/pruned-blocks.ts";
import { prunedSource } from "../../src/pruning/pruned-source.ts";
import { measureSensitivity, type Sensitivities } from "../../src/pruning/sensitivity.ts";
import { Random } from "../../src/tensor/random.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { hiddenStates, logitsOf, maxDifference } from "../runtime/compare.ts";
import { executorsOf, TEST_EXECUTORS } from "../runtime/test-executors.ts";
import { ARCHITECTURES } from "../support/fixtures.ts";

const base = temporaryFolder();
/** Sequential and gated; parallel with biases; parallel with one norm for both halves, and biases. */
const FAMILIES = ["llama-gqa", "neox-parallel", "phi"];

interface Given {
  readonly source: WeightSource;
  readonly kind: PruningKindId;
  readonly ratio: number;
  readonly executor?: (typeof TEST_EXECUTORS)[number];
  readonly signal?: AbortSignal;
}

const open = (name: string) => openCheckpoint(path.join(ARCHITECTURES, name));

function workOf({ source, kind, executor = TEST_EXECUTORS[0], signal }: Given) {
  const random = new Random(6);
  const sequences = [40, 70, 50].map((length) =>
    Int32Array.from({ length }, () => random.nextInt(source.spec.vocabSize)),
  );
  const createExecutor = executorsOf(executor, "streamed");
  return { source, sequences, createExecutor, maths: plainMaths, signal, kind: PRUNING_KINDS[kind] };
}

/** What each block keeps of a kind. */
function keeping(kind: PruningKind, kept: readonly number[]): BlockPruning[] {
  return kept.map((count) => ({ kind, kept: count }));
}

let folders = 0;
/** A model pruned evenly, as a source. */
async function prune(given: Given, blocks = new PrunedBlocks(path.join(base, `pruned-${folders++}`), "key")) {
  const { source, ratio } = given;
  const work = workOf(given);
  const counts = source.spec.blocks.map(work.kind.slicesOf);
  const kept = keptCounts(counts, counts.map(() => ratio)); // biome-ignore format: short
  const { cuts, repaired } = await pruneModel({ ...work, prunings: keeping(work.kind, kept), blocks });
  return { pruned: sourceOf(source, cuts, blocks), cuts, kept, counts, repaired };
}

function sourceOf(
  source: WeightSource,
  cuts: readonly BlockCut[],
  repaired: Parameters<typeof prunedSource>[0]["repaired"],
): WeightSource {
  return prunedSource({ source, spec: cutSpec(source.spec, cuts), cutOf: (block) => cuts[block], repaired });
}

async function logits(source: WeightSource, executor: (typeof TEST_EXECUTORS)[number]): Promise<Float32Array> {
  const running = await executorsOf(executor, "streamed")(source);
  const found = await logitsOf(running, [3, 1, 4, 1, 5, 9, 2, 6]);
  await running.dispose();
  return found;
}

describe.each(FAMILIES)("%s", (family) => {
  it.each(PRUNING_KIND_IDS)("loses no %s at ratio 0, and is what it was", async (kind) => {
    const source = await open(family);
    const { pruned, cuts, repaired } = await prune({ source, kind, ratio: 0 });
    expect(pruned.spec).toEqual(source.spec);
    expect(repaired).toEqual([]);
    expect(cuts.every(({ channels, kvHeads }) => channels === null && kvHeads === null)).toBe(true);
    expect(await pruned.readMatrix("blocks.1.mlp.down")).toEqual(await source.readMatrix("blocks.1.mlp.down"));
    await source.close();
  });

  it.each(PRUNING_KIND_IDS)(
    "has the sizes that were asked for of %s, and gives the same on all executors",
    async (kind) => {
      const source = await open(family);
      const { pruned, kept, counts } = await prune({ source, kind, ratio: 0.4 });
      expect(kept.map((slices, i) => slices < (counts[i]?.slices ?? 0))).toContain(true);
      for (const [i, block] of pruned.spec.blocks.entries()) {
        expect(PRUNING_KINDS[kind].slicesOf(block)?.slices ?? 0).toBe(kept[i]);
        for (const role of ["mlp.up", "mlp.down", "attn.q", "attn.o"] as const) {
          const spec = role.startsWith("mlp")
            ? block.mlp?.[role === "mlp.up" ? "up" : "down"]
            : block.attention?.[role === "attn.q" ? "q" : "o"];
          if (!spec) continue;
          const id = idOf(i, role);
          const matrix = await pruned.readMatrix(id);
          expect([matrix.rows, matrix.cols]).toEqual([spec.rows, spec.cols]);
          if (matrix.kind !== "dense") throw new Error("packed");
          expect(await pruned.readRows(id, 3, spec.rows)).toEqual(matrix.data.slice(3 * spec.cols));
          if (spec.bias) expect(await pruned.readVector(`${id}.bias`)).toHaveLength(spec.rows);
        }
      }
      const all = await Promise.all(TEST_EXECUTORS.map((executor) => logits(pruned, executor)));
      const whole = await logits(source, TEST_EXECUTORS[0]);
      expect(maxDifference(all[0], whole)).toBeGreaterThan(1e-3);
      for (const found of all) expect(maxDifference(found, all[0])).toBeLessThan(2e-3);
      await source.close();
    },
  );

  it.each(PRUNING_KIND_IDS)("with %s repaired is nearer to what it was", async (kind) => {
    const source = await open(family);
    const { pruned, cuts } = await prune({ source, kind, ratio: 0.4 });
    const plain = sourceOf(source, cuts, { matrixAt: async () => null, rowsAt: async () => null });
    // Of the first pruned block, on the text that it was repaired on.
    const first = cuts.findIndex((cut) => JSON.stringify(cut) !== JSON.stringify(UNCUT));
    const { sequences } = workOf({ source, kind, ratio: 0 });
    const errors = [];
    for (const model of [pruned, plain, source]) {
      const running = await executorsOf(TEST_EXECUTORS[0], "streamed")(model);
      errors.push((await hiddenStates(running, [...sequences[1]]))[first + 1]);
      await running.dispose();
    }
    const [repaired, unrepaired, whole] = errors;
    const squares = (found: Float32Array) => found.reduce((sum, value, i) => sum + (value - whole[i]) ** 2, 0);
    expect(squares(repaired)).toBeLessThan(squares(unrepaired));
    await source.close();
  });

  it("changes nothing where it loses channels that are always 0", async () => {
    const source = await open(family);
    const silent = await withSilentChannels(source, 64);
    const { pruned } = await prune({ source: silent, kind: "neurons", ratio: 0.3 });
    expect(pruned.spec.blocks[0].mlp?.up.rows).toBeLessThan(source.spec.blocks[0].mlp?.up.rows ?? 0);
    const before = await logits(silent, TEST_EXECUTORS[0]);
    expect(maxDifference(await logits(pruned, TEST_EXECUTORS[0]), before)).toBeLessThan(2e-4);
    await source.close();
  });

  it("has a larger error the more of a block goes", async () => {
    const source = await open(family);
    const { kind, ...own } = workOf({ source, kind: "neurons", ratio: 0 });
    const tries = [{ kind, ratios: kind.probes }];
    const work = { ...own, measured: own.sequences, tries, divergences: true };
    const found = await measureSensitivity({ ...work, saved: [], keep: async () => undefined });
    const kept: Sensitivities[] = [];
    const keep = async (blocks: Sensitivities) => void kept.push([...blocks]);
    expect(await measureSensitivity({ ...work, saved: found.slice(0, 1), keep })).toEqual(found);
    expect(kept).toEqual(found.slice(1).map((_, i) => found.slice(0, i + 2)));
    expect(found).toHaveLength(source.spec.blocks.length);
    for (const [block] of found) {
      expect(block?.relative).toHaveLength(kind.probes.length);
      expect(block?.kl?.at(-1)).toBeGreaterThan(block?.kl?.[1] ?? 0);
      for (const errors of [block?.relative ?? [], block?.mse ?? []]) {
        expect(errors.at(-1)).toBeGreaterThan(errors[1]);
        for (const [i, error] of errors.entries()) expect(error).toBeGreaterThanOrEqual((errors[i - 1] ?? 0) * 0.999);
      }
    }
    await source.close();
  });
});

/** The model with the first `count` channels of every MLP giving 0, whatever their inputs. */
async function withSilentChannels(source: WeightSource, count: number): Promise<WeightSource> {
  const zero = (id: string) => (id.endsWith("mlp.up") || id.endsWith("mlp.up.bias") ? count : 0);
  return {
    ...{ spec: source.spec, label: source.label, close: () => source.close() },
    async readMatrix(id) {
      const matrix = await source.readMatrix(id);
      if (matrix.kind === "dense") matrix.data.fill(0, 0, zero(id) * matrix.cols);
      return matrix;
    },
    async readRows(id, from, to) {
      const rows = await source.readRows(id, from, to);
      return rows.fill(0, 0, Math.max(0, zero(id) - from) * (rows.length / (to - from)));
    },
    async readVector(id) {
      return (await source.readVector(id)).fill(0, 0, zero(id));
    },
  };
}

describe("pruneModel", () => {
  it("goes on where it was stopped, to the same model", async () => {
    const source = await open("llama-gqa");
    const whole = await prune({ source, kind: "neurons", ratio: 0.3 });
    const blocks = new PrunedBlocks(path.join(base, "stopped"), "key");
    const stop = new AbortController();
    const put = blocks.put.bind(blocks);
    let puts = 0;
    blocks.put = async (...args) => {
      await put(...args);
      puts++;
      stop.abort();
    };
    await expect(prune({ source, kind: "neurons", ratio: 0.3, signal: stop.signal }, blocks)).rejects.toThrow(
      Interrupted,
    );
    expect(puts).toBe(1);
    const { pruned } = await prune({ source, kind: "neurons", ratio: 0.3 }, blocks);
    expect(puts).toBe(source.spec.blocks.length);
    const id = idOf(source.spec.blocks.length - 1, "mlp.down");
    expect(await pruned.readMatrix(id)).toEqual(await whole.pruned.readMatrix(id));
    await source.close();
  });

  it("runs nothing where nothing can be repaired, nor where all blocks are there", async () => {
    const source = await open("llama-gqa");
    const never = () => Promise.reject(new Error("an executor was made"));
    const blocks = new PrunedBlocks(path.join(base, "ran"), "key");
    const { kind, ...work } = { ...workOf({ source, kind: "block", ratio: 0 }), createExecutor: never };
    const leftOut = new PrunedBlocks(path.join(base, "left-out"), "key");
    await pruneModel({ ...work, prunings: keeping(kind, [0, 1, 1]), blocks: leftOut });
    const { kind: channels, ...own } = workOf({ source, kind: "neurons", ratio: 0 });
    const neurons = { ...own, prunings: keeping(channels, [112, 64, 96]), blocks };
    const first = await pruneModel(neurons);
    expect(await pruneModel({ ...neurons, createExecutor: never })).toEqual(first);
    await source.close();
  });

  it("prunes each block by the inputs that the pruned ones before it give", async () => {
    const source = await open("llama-gqa");
    const { pruned: all } = await prune({ source, kind: "neurons", ratio: 0.4 });
    const work = workOf({ source, kind: "neurons", ratio: 0 });
    const { slices } = work.kind.slicesOf(source.spec.blocks[0]) ?? { slices: 0 };
    const last = source.spec.blocks.length - 1;
    const kept = source.spec.blocks.map((_, i) => (i < last ? slices : (all.spec.blocks[last].mlp?.up.rows ?? 0)));
    const alone = new PrunedBlocks(path.join(base, "alone"), "key");
    await pruneModel({ ...work, prunings: keeping(work.kind, kept), blocks: alone });
    expect(await alone.matrixAt(idOf(last, "mlp.down"))).not.toEqual(await all.readMatrix(idOf(last, "mlp.down")));
    await source.close();
  });
});

describe("kinds", () => {
  it.each(PRUNING_KIND_IDS)("%s leaves of a block what it says", async (kind) => {
    const source = await open("llama-gqa");
    const { slicesOf, cutOf } = PRUNING_KINDS[kind];
    const [block] = source.spec.blocks;
    const count = slicesOf(block);
    expect(canLose(count)).toBe(true);
    const least = Array.from({ length: count?.least ?? 0 }, (_, slice) => slice);
    const [left] = cutSpec({ ...source.spec, blocks: [block] }, [cutOf(least)]).blocks;
    expect(slicesOf(left)?.slices ?? 0).toBe(count?.least);
    await source.close();
  });

  it("heads refuses norms that go over all heads", async () => {
    const source = await open("olmo2");
    expect(PRUNING_KINDS.heads.refuse?.(source.spec.blocks[0])).toMatch(/over all heads/);
    await source.close();
    const other = await open("qwen3");
    expect(PRUNING_KINDS.heads.refuse?.(other.spec.blocks[0])).toBeNull();
    await other.close();
  });
});
