import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Job } from "../../../src/pipeline/job.ts";
import { guardStep } from "../../../src/pipeline/steps/guard.ts";
import { requantizedStep } from "../../../src/pipeline/steps/requantized.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { exampleOptions, RECIPES, TOKENS, withExampleJob } from "../example-job.ts";

const base = temporaryFolder();

/** A job by that recipe; all share one library. */
const withRecipe = <T>(recipe: string, use: (job: Job) => Promise<T>) =>
  withExampleJob(exampleOptions(recipe, { out: path.join(base, "run") }), use);

describe("step guard", () => {
  it("measures both plans on the held-out text and ships what diverges less", () =>
    withRecipe(RECIPES.requantized, async (job) => {
      const { value } = await job.get(guardStep);
      expect(value.tokens).toBe(TOKENS.heldOut.flat().length);
      expect(value.plan.mean).toBeGreaterThan(0);
      expect(value.ships).toBe((value.uniform?.divergence.mean ?? Infinity) < value.plan.mean ? "uniform" : "plan");
    }));

  it("is not wanted without text for it, or without packed matrices", async () => {
    await withRecipe(RECIPES.byInputs, async (job) => expect(await job.ask(guardStep)).toBeNull());
    await withRecipe(`${RECIPES.rounded}guard: { tokens: 4 }`, async (job) => {
      expect(await job.ask(guardStep)).toBeNull();
      expect(await job.ask(requantizedStep)).toBeNull();
    });
  });
});
