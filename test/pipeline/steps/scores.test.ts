import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { partialPath } from "../../../src/formats/files.ts";
import { openCheckpoint } from "../../../src/model/checkpoint.ts";
import { parseRecipe } from "../../../src/pipeline/recipe.ts";
import { scoresStep } from "../../../src/pipeline/steps/scores.ts";
import { loadHighs } from "../../../src/planning/optimal/highs-solver.ts";
import { makePlan } from "../../../src/planning/plan.ts";
import type { Progress } from "../../../src/progress.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { HAS_FULL_DISK, needsFullDisk } from "../../support/full-disk.ts";
import { exampleOptions, withExampleJob } from "../example-job.ts";

const base = temporaryFolder();
const RECIPE = `
name: tiny
calibration: { sources: [{ path: a.txt, tokens: 8 }] }
score: { scorer: kl, options: { maxVariants: 1 } }
plan: { codecs: [8, 4] }
`;

/** Scores the example model with what is measured kept in a folder. */
function scoreIn(scratch: string) {
  const options = exampleOptions(RECIPE, { out: path.join(base, "computed") });
  const to = { key: "k", inputs: {}, earlier: async () => null, scratch: async () => scratch };
  return withExampleJob(options, (job) => scoresStep.compute(job, to));
}

describe("scoring with kl", () => {
  it("keeps what is measured", async () => {
    const scratch = path.join(base, "scratch");
    mkdirSync(scratch);
    const scores = await scoreIn(scratch);
    expect(existsSync(path.join(scratch, "losses.json"))).toBe(true);
    expect(await scoreIn(scratch)).toEqual(scores);
  });

  it.skipIf(!HAS_FULL_DISK)(needsFullDisk("ends with one UserError where the disk is full"), async () => {
    const scratch = path.join(base, "full");
    mkdirSync(scratch);
    symlinkSync("/dev/full", partialPath(path.join(scratch, "losses.json")));
    await expect(scoreIn(scratch)).rejects.toMatchObject({ name: "UserError", code: "DISK_FULL" });
  });
});

describe("scoring by matrix", () => {
  const recipe = (codecs: string) => `
name: tiny
calibration: { sources: [{ path: a.txt, tokens: 8 }] }
score: { scorer: kl, options: { unit: matrix, probes: [q3s-g32, q4s-g32], fitPairs: 3 } }
plan: { allocator: optimal, codecs: [${codecs}], embeddingCodecs: [q8s-g32, q4s-g32] }
`;

  it("is planned from for any budget, and measures only what is new for another list of codecs", async () => {
    const notes: string[] = [];
    const scoresBy = async (text: string) => {
      const onProgress = ({ note }: Progress) => note !== undefined && notes.push(note);
      const options = exampleOptions(text, { out: path.join(base, "matrices"), onProgress });
      return withExampleJob(options, async (job) => (await job.get(scoresStep)).value);
    };
    const scores = await scoresBy(recipe("q8s-g32, q4s-g32, q3s-g32"));
    expect(notes).toEqual([expect.stringContaining("for 74 variants")]);
    expect(scores.fit?.pairs).toBe(3);
    expect(scores.losses?.["blocks.2.attn.v"]["q8s-g32"]).toBeGreaterThan(0);

    const wider = recipe("q8s-g32, q5s-g32, q4s-g32, q3s-g32");
    const again = await scoresBy(wider);
    expect(notes[1] ?? "for 0 variants").toMatch(/for [0-3] variants/);
    expect(again.losses?.["blocks.2.attn.v"]["q3s-g32"]).toBe(scores.losses?.["blocks.2.attn.v"]["q3s-g32"]);

    const checkpoint = await openCheckpoint("examples/stories260k");
    const { spec } = checkpoint;
    await checkpoint.close();
    const request = { spec, scores: again, recipe: parseRecipe(wider, "x"), contextTokens: 128, storedDtype: "F32" };
    const solver = await loadHighs();
    const wide = makePlan({ ...request, budgetBytes: null }, solver);
    const plan = makePlan({ ...request, budgetBytes: wide.memory.totalBytes - 30_000 }, solver);
    expect(plan).toMatchObject({ allocator: "optimal", scorer: "kl" });
    expect(new Set(plan.units.map(({ codec }) => codec)).size).toBeGreaterThan(1);
    expect(plan.predictedLoss).toBeGreaterThan(wide.predictedLoss ?? 0);
  });
});
