import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Job } from "../../src/pipeline/job.ts";
import { packedPlan, uniformRival } from "../../src/pipeline/packed-plan.ts";
import { libraryOf, planPairs } from "../../src/pipeline/packing.ts";
import { shippedPlan } from "../../src/pipeline/shipped.ts";
import { guardStep } from "../../src/pipeline/steps/guard.ts";
import { planStep } from "../../src/pipeline/steps/plan.ts";
import { requantizedOf } from "../../src/pipeline/steps/requantized.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { exampleOptions, RECIPES, withExampleJob } from "./example-job.ts";

const base = temporaryFolder();

/** A job by that recipe; all share one library. */
const withRecipe = <T>(recipe: string, use: (job: Job) => Promise<T>) =>
  withExampleJob(exampleOptions(recipe, { out: path.join(base, "run") }), use);

describe("the plan that ships", () => {
  it("has the library's matrices, or those packed anew on its own inputs", async () => {
    const bytesOf = (recipe: string) =>
      withRecipe(recipe, async (job) => {
        const { packed } = await job.once(packedPlan);
        const matrix = await packed?.readMatrix("blocks.4.mlp.down");
        const library = await job.once(recipe === RECIPES.requantized ? requantizedOf : libraryOf);
        const codec = new Map(planPairs((await job.get(planStep)).value)).get("blocks.4.mlp.down") ?? "";
        expect(matrix).toEqual(await library.matrixAt("blocks.4.mlp.down", codec));
        return matrix;
      });
    expect(await bytesOf(RECIPES.requantized)).not.toEqual(await bytesOf(RECIPES.byInputs));
  });

  it("is the uniform one where that diverges less", () =>
    withRecipe(RECIPES.requantized, async (job) => {
      const divergence = { mean: 1, meanError: 0.1 };
      const uniform = { codec: "q4s-g32", totalBytes: 1, divergence };
      job.give(guardStep, { tokens: 4, plan: divergence, uniform, ships: "uniform" });
      const rival = await job.once(uniformRival);
      const { plan, packed, guard } = await job.once(shippedPlan);
      expect(plan).not.toBe((await job.get(planStep)).value);
      expect(plan).toBe(rival);
      expect(guard?.ships).toBe("uniform");
      const library = await job.once(libraryOf);
      const codec = new Map(planPairs(plan)).get("blocks.0.attn.q") ?? "";
      expect(await packed?.readMatrix("blocks.0.attn.q")).toEqual(await library.matrixAt("blocks.0.attn.q", codec));
    }));
});
