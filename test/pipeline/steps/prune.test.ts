import { readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openArtifact } from "../../../src/artifact/reader.ts";
import type { Job } from "../../../src/pipeline/job.ts";
import { withJob } from "../../../src/pipeline/open-job.ts";
import { packedModelOf } from "../../../src/pipeline/packed-model.ts";
import { libraryOf } from "../../../src/pipeline/packing.ts";
import type { PrunedModel } from "../../../src/pipeline/pruned-model.ts";
import { artifactStep } from "../../../src/pipeline/steps/artifact.ts";
import { calibrationStep } from "../../../src/pipeline/steps/calibration.ts";
import { pruneStep } from "../../../src/pipeline/steps/prune.ts";
import { scoresStep } from "../../../src/pipeline/steps/scores.ts";
import { sensitivityStep } from "../../../src/pipeline/steps/sensitivity.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { exampleOptions, RECIPES, TOKENS, withExampleJob } from "../example-job.ts";

const base = temporaryFolder();
const SEQUENCE = Array.from({ length: 120 }, (_, i) => (i * 37) % 512);

/** A job by a recipe with some pruning, on a longer text. */
function withPruning<T>(recipe: string, prune: string, use: (job: Job) => Promise<T>, out = "run"): Promise<T> {
  const options = exampleOptions(`${recipe}prune: ${prune}\n`, { out: path.join(base, out) });
  return withJob(options, { plans: false }, (job) => {
    job.give(calibrationStep, { ...TOKENS, tokens: SEQUENCE.length, sequences: [SEQUENCE] });
    return use(job);
  });
}

function keptOf({ blocks }: PrunedModel) {
  return { kept: blocks.map((block) => block?.kept ?? 0), slices: blocks.map((block) => block?.slices ?? 0) };
}

const EVEN = "{ kind: neurons, ratio: 0.25, spread: uniform }";

describe("step prune", () => {
  it("is not wanted by a recipe without it, whose model is the checkpoint by its own name", () =>
    withExampleJob(exampleOptions(RECIPES.rounded, { out: path.join(base, "whole") }), async (job) => {
      expect(await job.ask(pruneStep)).toBeNull();
      expect(await job.ask(sensitivityStep)).toBeNull();
      const { source, id, request } = await job.once(packedModelOf);
      expect([source, id, request]).toEqual([job.origin.checkpoint, "w", job.origin.request]);
    }));

  it("spreads by what pruning does to each block: relative errors, or squared ones as the paper has it", async () => {
    const keptBy = (spread: string) =>
      withPruning(RECIPES.rounded, `{ kind: neurons, ratio: 0.3, spread: ${spread} }`, async (job) => {
        const { kept, slices } = keptOf((await job.get(pruneStep)).value);
        expect(Math.abs(kept.reduce((sum, count) => sum + count, 0) - 0.7 * 5 * 172)).toBeLessThanOrEqual(22);
        expect(slices).toEqual([172, 172, 172, 172, 172]);
        return { kept, sensitivity: (await job.ask(sensitivityStep))?.value ?? null };
      });
    const luc = await keptBy("luc");
    const raw = await keptBy("edge-llm");
    const even = await keptBy("uniform");
    expect(new Set(even.kept)).toEqual(new Set([128, 96]));
    expect(even.sensitivity).toBeNull();
    expect(luc.kept).not.toEqual(raw.kept);
    const means = luc.sensitivity?.blocks.map(([block]) => block?.relative.reduce((sum, error) => sum + error, 0) ?? 0);
    const most = means?.indexOf(Math.max(...means)) ?? -1;
    expect(luc.kept[most]).toBe(Math.max(...luc.kept));
    expect(luc.sensitivity).toEqual(raw.sensitivity);
  });

  it("makes what is scored, packed and shipped, and says so in the manifest", () =>
    withPruning(RECIPES.requantized, EVEN, async (job) => {
      const { value } = await job.get(pruneStep);
      const { kept } = keptOf(value);
      await job.get(artifactStep);
      const library = await job.once(libraryOf);
      expect((await library.matrixAt("blocks.0.mlp.up", "q4s-g32")).rows).toBe(kept[0]);
      const artifact = await openArtifact(job.artifactFolder);
      expect(artifact.spec.blocks.map(({ mlp }) => mlp?.down.cols)).toEqual(kept);
      expect(artifact.manifest.provenance.pruning).toEqual(value.blocks);
      await artifact.close();
    }));

  it("names its model in the keys of what is made of it", async () => {
    const recipe = `${RECIPES.rounded.replace("uniform", "lsaq")}score: { scorer: cosine }\n`;
    const scored = (prune: string) => withPruning(recipe, prune, async (job) => (await job.get(scoresStep)).value);
    const a = await scored(EVEN);
    const b = await scored("{ kind: neurons, ratio: 0.5, spread: uniform }");
    expect(a.checkpointId).not.toBe(b.checkpointId);
    expect(a.importance).not.toEqual(b.importance);
  });

  it("is taken as it is where its files are there, and is made again, the same, where one is not", async () => {
    const once = () =>
      withPruning(
        RECIPES.rounded,
        EVEN,
        async (job) => {
          const done = await job.get(pruneStep);
          const { source } = await job.once(packedModelOf);
          return { done, down: await source.readMatrix("blocks.4.mlp.down") };
        },
        "again",
      );
    const first = await once();
    const folder = path.join(base, "again/pruned");
    const files = readdirSync(folder);
    expect(files).toHaveLength(5);
    rmSync(path.join(folder, files[2]));
    expect(await once()).toEqual(first);
    expect(readdirSync(folder).sort()).toEqual(files.sort());
  });
});
