import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { partialPath } from "../../src/formats/files.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { planRequest } from "../../src/pipeline/plan-step.ts";
import { parseRecipe } from "../../src/pipeline/recipe.ts";
import { scoreCheckpoint, scoreInputs } from "../../src/pipeline/score-step.ts";
import { loadHighs } from "../../src/planning/optimal/highs-solver.ts";
import { makePlan } from "../../src/planning/plan.ts";
import type { Progress } from "../../src/progress.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";

const base = temporaryFolder();
const RECIPE = `
name: tiny
calibration: { sources: [{ path: a.txt, tokens: 8 }] }
score: { scorer: kl, options: { maxVariants: 1 } }
plan: { codecs: [8, 4] }
`;

/** Scores the example model; `notes` hears what stays in sight. */
async function score(scratch: string, { recipe = RECIPE, runFolder = scratch, notes = [] as string[] } = {}) {
  const checkpoint = await openCheckpoint("examples/stories260k");
  const options = {
    checkpoint: checkpoint.label,
    budget: "1 GiB",
    contextTokens: null,
    kvType: null,
    residency: null,
    budgetCovers: null,
    executor: "auto" as const,
    backend: "auto" as const,
    threads: 1,
    recipe: parseRecipe(recipe, "tiny.yaml"),
    calibration: [],
    onProgress: ({ note }: Progress) => note !== undefined && notes.push(note),
  };
  const request = planRequest(checkpoint, options, {
    bytes: 2 ** 30,
    kind: "expression",
    explanation: "",
    device: null,
  });
  const calibration = { id: "c", tokens: 4, sources: [], sequences: [[1, 2, 3, 4]], heldOut: [] };
  const step = { key: "k", scratch: async () => scratch };
  try {
    const inputs = scoreInputs("s", "c", request, { recipe: options.recipe, executor: "tfjs" });
    const work = {
      source: "s",
      calibration,
      request,
      options,
      step,
      maths: plainMaths,
      library: null,
      inputs,
      runFolder,
    };
    const scores = await scoreCheckpoint(checkpoint, work);
    writeFileSync(path.join(runFolder, "scores.json"), JSON.stringify({ inputs, value: scores }));
    return scores;
  } finally {
    await checkpoint.close();
  }
}

describe("scoring with kl", () => {
  it("keeps what is measured", async () => {
    const scratch = path.join(base, "scratch");
    mkdirSync(scratch);
    const scores = await score(scratch);
    expect(existsSync(path.join(scratch, "losses.json"))).toBe(true);
    expect(await score(scratch)).toEqual(scores);
  });

  it.skipIf(!existsSync("/dev/full"))("ends with one UserError where the disk is full (needs /dev/full)", async () => {
    const scratch = path.join(base, "full");
    mkdirSync(scratch);
    symlinkSync("/dev/full", partialPath(path.join(scratch, "losses.json")));
    await expect(score(scratch)).rejects.toMatchObject({ name: "UserError", code: "DISK_FULL" });
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
    const runFolder = path.join(base, "matrices");
    const scratch = path.join(base, "matrices-scratch");
    mkdirSync(runFolder);
    mkdirSync(scratch);
    const notes: string[] = [];
    const scores = await score(scratch, { recipe: recipe("q8s-g32, q4s-g32, q3s-g32"), runFolder, notes });
    expect(notes).toEqual([expect.stringContaining("for 74 variants")]);
    expect(scores.fit?.pairs).toBe(3);
    expect(scores.losses?.["blocks.2.attn.v"]["q8s-g32"]).toBeGreaterThan(0);

    rmSync(scratch, { recursive: true });
    mkdirSync(scratch);
    const wider = recipe("q8s-g32, q5s-g32, q4s-g32, q3s-g32");
    const again = await score(scratch, { recipe: wider, runFolder, notes });
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
