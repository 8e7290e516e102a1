import path from "node:path";
import { describe, expect, it } from "vitest";
import { openArtifact } from "../../../src/artifact/reader.ts";
import type { Job } from "../../../src/pipeline/job.ts";
import { withJob } from "../../../src/pipeline/open-job.ts";
import { packedModelOf, pruningOf } from "../../../src/pipeline/packed-model.ts";
import { wholeRival } from "../../../src/pipeline/packed-plan.ts";
import { cutsOfPlan } from "../../../src/pipeline/planned-pruning.ts";
import { shippedPlan } from "../../../src/pipeline/shipped.ts";
import { artifactStep } from "../../../src/pipeline/steps/artifact.ts";
import { calibrationStep } from "../../../src/pipeline/steps/calibration.ts";
import { guardStep } from "../../../src/pipeline/steps/guard.ts";
import { planStep } from "../../../src/pipeline/steps/plan.ts";
import { plannedPruneStep } from "../../../src/pipeline/steps/planned-prune.ts";
import { sensitivityStep } from "../../../src/pipeline/steps/sensitivity.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { exampleOptions, TOKENS } from "../example-job.ts";

const base = temporaryFolder();
const SEQUENCE = (offset: number) => Array.from({ length: 60 }, (_, i) => (i * 37 + offset) % 512);
/** Cuts and codecs in one loss. */
const RECIPE = `
name: x
calibration: { sources: [{ path: a.txt, tokens: 8 }] }
prune: { kind: [neurons, attention, block], ratio: auto }
score: { scorer: kl, options: { unit: matrix, tokens: 60, fitPairs: 0, probes: [q4s-g32, q2s-g32] } }
plan: { allocator: optimal, codecs: [q8s-g32, q4s-g32, q2s-g32], embedding: 8 bits }
`;
const LIBRARY = `${RECIPE}quantize: { quantizer: weighted }\nguard: { tokens: 4 }\n`;

/** All jobs of a recipe share a run folder: only the plan and what follows depend on the budget. */
function withBudget<T>(budget: string, use: (job: Job) => Promise<T>, recipe = RECIPE): Promise<T> {
  const out = path.join(base, recipe === LIBRARY ? "library" : "rounded");
  return withJob(exampleOptions(recipe, { out, budget }), { plans: true }, (job) => {
    const sequences = [SEQUENCE(0), SEQUENCE(5)];
    job.give(calibrationStep, { ...TOKENS, tokens: 120, sequences });
    return use(job);
  });
}

const GENEROUS = "1 GiB";
/** Below what the narrowest codecs take of the whole model. */
const TIGHT = "2770 KiB";

describe("a plan that chooses what blocks lose", () => {
  it("leaves every block whole where bits alone lose less, and says what pruning would lose", () =>
    withBudget(GENEROUS, async (job) => {
      const { value: plan } = await job.get(planStep);
      expect(plan.pruning?.cuts).toEqual([null, null, null, null, null]);
      expect(plan.pruning?.wholeLoss).toBe(plan.predictedLoss);
      expect(plan.pruning?.cutLoss).toBeGreaterThan(plan.predictedLoss ?? 0);
      const { source, id } = await job.once(packedModelOf);
      expect(source).toBe(job.origin.checkpoint);
      expect(id).toHaveLength(64);
      expect(await job.once(wholeRival)).toBeNull();
    }));

  it("prunes where nothing else fits, by the measured losses, and what is packed is what was planned", () =>
    withBudget(TIGHT, async (job) => {
      const { value: plan } = await job.get(planStep);
      const { pruning } = plan;
      expect(pruning?.wholeLoss).toBeNull();
      expect(plan.memory.totalBytes).toBeLessThanOrEqual(2770 * 1024);
      const { tries, blocks } = (await job.get(sensitivityStep)).value;
      for (const [block, cut] of (pruning?.cuts ?? []).entries()) {
        const own = blocks[block][tries.findIndex(({ kind }) => kind === cut?.kind)];
        if (cut) expect(own?.kl?.[own.kept.indexOf(cut.kept)]).toBe(cut.loss);
      }
      await job.get(artifactStep);
      const artifact = await openArtifact(job.artifactFolder);
      const cuts = cutsOfPlan(plan);
      expect(cuts.filter((cut) => cut !== null).length).toBeGreaterThan(0);
      expect(artifact.manifest.provenance.pruning).toEqual(cuts);
      for (const [i, { mlp, attention }] of artifact.spec.blocks.entries()) {
        const cut = cuts[i];
        expect(mlp?.up.rows ?? 0).toBe(cut?.kind === "neurons" ? cut.kept : cut?.kind === "block" ? 0 : 172);
        expect(attention === null).toBe(cut?.kind === "block" || cut?.kind === "attention");
      }
      expect(artifact.memory.totalBytes).toBe(plan.memory.totalBytes);
      await artifact.close();
    }));

  it("is carried out again only where its cuts are others", async () => {
    const at = (budget: string) =>
      withBudget(
        budget,
        async (job) => [(await job.get(planStep)).value, (await job.get(plannedPruneStep)).value] as const,
      );
    const [[plan, pruned], [next, same]] = [await at("2771 KiB"), await at("2771.1 KiB")];
    expect(next.budgetBytes).toBeGreaterThan(plan.budgetBytes ?? 0);
    expect(cutsOfPlan(next)).toEqual(cutsOfPlan(plan));
    expect(same.key).toBe(pruned.key);
  });

  it("packs pruned matrices by their own inputs, and ships whole blocks where the guard finds these better", () =>
    withBudget(
      "2800 KiB",
      async (job) => {
        const { value: plan } = await job.get(planStep);
        const whole = await job.once(wholeRival);
        if (!whole) throw new Error("a budget at which both fit, and pruning is predicted to lose less, is expected");
        expect(whole.predictedLoss).toBe(plan.pruning?.wholeLoss);
        expect(plan.predictedLoss).toBeLessThan(whole.predictedLoss ?? 0);
        const { value: guard } = await job.get(guardStep);
        expect(guard.whole?.totalBytes).toBe(whole.memory.totalBytes);
        const means = [guard.plan.mean, guard.uniform?.divergence.mean ?? 1e9, guard.whole?.divergence.mean ?? 1e9];
        expect(["plan", "uniform", "whole"][means.indexOf(Math.min(...means))]).toBe(guard.ships);
        job.give(guardStep, { ...guard, ships: "whole" });
        const shipped = await job.once(shippedPlan);
        expect(shipped.plan.units).toEqual(whole.units);
        expect(shipped.plan.pruning?.cutLoss).toBe(plan.predictedLoss);
        expect(shipped.model.source).toBe(job.origin.checkpoint);
        expect(await pruningOf(job, shipped.model)).toBeNull();
        await job.get(artifactStep);
        const artifact = await openArtifact(job.artifactFolder);
        expect(artifact.manifest.provenance.pruning).toBeUndefined();
        expect(artifact.spec.blocks.map(({ mlp }) => mlp?.up.rows)).toEqual([172, 172, 172, 172, 172]);
        await artifact.close();
      },
      LIBRARY,
    ));
});
