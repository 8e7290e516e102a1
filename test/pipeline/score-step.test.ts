import { existsSync, mkdirSync, symlinkSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { partialPath } from "../../src/formats/files.ts";
import { openCheckpoint } from "../../src/model/checkpoint.ts";
import { planRequest } from "../../src/pipeline/plan-step.ts";
import { parseRecipe } from "../../src/pipeline/recipe.ts";
import { scoreCheckpoint } from "../../src/pipeline/score-step.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";

const base = temporaryFolder();
const RECIPE = `
name: tiny
calibration: { sources: [{ path: a.txt, tokens: 8 }] }
score: { scorer: kl, options: { maxVariants: 1 } }
plan: { codecs: [8, 4] }
`;

async function score(scratch: string) {
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
    recipe: parseRecipe(RECIPE, "tiny.yaml"),
    calibration: [],
  };
  const request = planRequest(checkpoint, options, {
    bytes: 2 ** 30,
    kind: "expression",
    explanation: "",
    device: null,
  });
  const calibration = { id: "c", tokens: 4, sources: [], sequences: [[1, 2, 3, 4]] };
  const step = { key: "k", scratch: async () => scratch };
  try {
    return await scoreCheckpoint(checkpoint, { source: "s", calibration, request, options, step, engine: null });
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
