import { rmSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import type { Plan } from "../../../src/artifact/plan.ts";
import type { Job } from "../../../src/pipeline/job.ts";
import { leastLoss, packedPlan, uniformRival } from "../../../src/pipeline/packed-plan.ts";
import { libraryOf, planPairs } from "../../../src/pipeline/packing.ts";
import { shippedPlan } from "../../../src/pipeline/shipped.ts";
import { guardStep } from "../../../src/pipeline/steps/guard.ts";
import { libraryStep } from "../../../src/pipeline/steps/library.ts";
import { planStep } from "../../../src/pipeline/steps/plan.ts";
import { requantizedOf, requantizedStep } from "../../../src/pipeline/steps/requantized.ts";
import { makePlan } from "../../../src/planning/plan.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { planSettings, smolSpec } from "../../planning/example-spec.ts";
import { exampleOptions, TOKENS, withExampleJob } from "../example-job.ts";

const base = temporaryFolder();
const RECIPE = `
name: x
calibration: { sources: [{ path: a.txt, tokens: 8 }], sequenceTokens: 4 }
plan: { allocator: uniform, codecs: [q8s-g32, q4s-g32], embedding: 8 bits }
`;
const BY_INPUTS = `${RECIPE}quantize: { quantizer: weighted }\n`;
const REQUANTIZED = `${RECIPE}quantize: { quantizer: weighted, requantize: true }\nguard: { tokens: 4 }\n`;

/** A job by that recipe; all share one library. */
const withRecipe = <T>(recipe: string, use: (job: Job) => Promise<T>) =>
  withExampleJob(exampleOptions(recipe, { out: path.join(base, "run") }), use);

describe("step library", () => {
  it("packs each matrix at each codec that a plan may give it, and again what is missing", () =>
    withRecipe(BY_INPUTS, async (job) => {
      const { value } = await job.get(libraryStep);
      const { units, checkpoint } = job.origin;
      const blocks = units.filter(({ block }) => block !== null).length;
      expect(Object.fromEntries(value.codecs.map(({ codec, matrices }) => [codec, matrices]))).toEqual({
        "q8s-g32": units.length,
        "q4s-g32": blocks,
      });
      expect(await libraryStep.check?.(job, value)).toBeNull();
      const library = await job.once(libraryOf);
      const { rows, cols } = await library.matrixAt("blocks.0.attn.q", "q4s-g32");
      expect([rows, cols]).toEqual([checkpoint.spec.hiddenSize, checkpoint.spec.hiddenSize]);
      rmSync(library.folder, { recursive: true });
      expect(await libraryStep.check?.(job, value)).toMatch(/is not there any more/);
    }));

  it("is not wanted where the quantizer looks at weights alone", () =>
    withRecipe(RECIPE, async (job) => {
      expect(await job.ask(libraryStep)).toBeNull();
      expect(await job.once(packedPlan)).toEqual({ packed: null, learning: null });
      expect(await job.once(shippedPlan)).toMatchObject({ packed: null, guard: null, learning: null });
    }));
});

describe("the plan that ships", () => {
  it("has the library's matrices, or those packed anew on its own inputs", async () => {
    const bytesOf = (recipe: string) =>
      withRecipe(recipe, async (job) => {
        const { packed } = await job.once(packedPlan);
        const matrix = await packed?.readMatrix("blocks.4.mlp.down");
        const library = await job.once(recipe === REQUANTIZED ? requantizedOf : libraryOf);
        const codec = new Map(planPairs((await job.get(planStep)).value)).get("blocks.4.mlp.down") ?? "";
        expect(matrix).toEqual(await library.matrixAt("blocks.4.mlp.down", codec));
        return matrix;
      });
    expect(await bytesOf(REQUANTIZED)).not.toEqual(await bytesOf(BY_INPUTS));
  });

  it("is the uniform one where that diverges less", () =>
    withRecipe(REQUANTIZED, async (job) => {
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

describe("step guard", () => {
  it("measures both plans on the held-out text and ships what diverges less", () =>
    withRecipe(REQUANTIZED, async (job) => {
      const { value } = await job.get(guardStep);
      expect(value.tokens).toBe(TOKENS.heldOut.flat().length);
      expect(value.plan.mean).toBeGreaterThan(0);
      expect(value.ships).toBe((value.uniform?.divergence.mean ?? Infinity) < value.plan.mean ? "uniform" : "plan");
    }));

  it("is not wanted without text for it, or without packed matrices", async () => {
    await withRecipe(BY_INPUTS, async (job) => expect(await job.ask(guardStep)).toBeNull());
    await withRecipe(`${RECIPE}guard: { tokens: 4 }`, async (job) => {
      expect(await job.ask(guardStep)).toBeNull();
      expect(await job.ask(requantizedStep)).toBeNull();
    });
  });
});

describe("the uniform plan to beat", () => {
  const settings = planSettings({ allocator: "uniform" });
  const made = makePlan({
    spec: smolSpec(),
    scores: null,
    recipe: settings,
    contextTokens: 8,
    storedDtype: "BF16",
    budgetBytes: null,
  });
  const plan = (totalBytes: number, predictedLoss: number | null, kvType: Plan["memory"]["kvType"] = "f16"): Plan => ({
    ...made,
    ...{ predictedLoss, memory: { ...made.memory, totalBytes, kvType } },
  });

  it("takes no more bytes, keeps the KV type, and loses least, or is the largest where no loss is known", () => {
    const own = plan(100, 1);
    const [small, fits, tooLarge, otherKv] = [plan(50, 3), plan(90, 2), plan(101, 0.1), plan(60, 0.1, "q8")];
    expect(leastLoss([small, fits, tooLarge, otherKv], own)).toBe(fits);
    expect(leastLoss([tooLarge], own)).toBeNull();
    const unknown = [plan(50, null), plan(100, null), plan(101, null)];
    expect(leastLoss(unknown, own)).toBe(unknown[1]);
  });
});
