import { GuardResult } from "../../artifact/manifest.ts";
import type { Plan } from "../../artifact/plan.ts";
import { evaluateAll } from "../../evaluation/evaluate.ts";
import { separateWindows } from "../../evaluation/windows.ts";
import { blockOf } from "../../model/matrix-id.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import { createExecutor } from "../../runtime/create-executor.ts";
import type { Job, Step } from "../job.ts";
import { libraryPlan, packedPlan, uniformRival, wholeRival } from "../packed-plan.ts";
import { planPairs } from "../packing.ts";
import { usesLibrary } from "../recipe.ts";
import { hashOf } from "../step-key.ts";
import { calibrationStep } from "./calibration.ts";
import { planStep } from "./plan.ts";

/**
 * Compares the packed plan with the best uniform one of no more bytes, and one that leaves blocks out with the best one
 * that does not, by KL divergence on text that nothing else saw.
 */
export const guardStep: Step<GuardResult> = {
  name: "guard",
  schema: GuardResult,
  perDevice: true,
  wanted: (recipe) => usesLibrary(recipe) && recipe.guard.tokens > 0,

  async inputs(job) {
    await job.once(packedPlan);
    const rival = await job.once(uniformRival);
    const { heldOut } = (await job.get(calibrationStep)).value;
    const whole = await job.once(wholeRival);
    return { rival: rival && planPairs(rival), ...(whole && { whole: planPairs(whole) }), text: hashOf(heldOut) };
  },

  /** Measures all as they would run: the plan's own matrices, the rivals' from the library. */
  async compute(job) {
    const { value: plan } = await job.get(planStep);
    const { packed } = await job.once(packedPlan);
    if (!packed) throw new Error("a guard compares packed matrices, and there are none");
    const rivals = [await job.once(uniformRival), await job.once(wholeRival)];
    const sources = [packed];
    for (const rival of rivals) {
      const source = rival && (await libraryPlan(job, rival)).packed;
      if (source) sources.push(source);
    }
    const { tokens, means } = await divergences(job, sources, plan.memory.kvType);
    const [own, ...others] = means;
    const [uniform, whole] = rivals.map((rival) => rival && { rival, divergence: others.shift() ?? own });
    const best = Math.min(...means.map(({ mean }) => mean));
    return {
      tokens,
      plan: own,
      uniform: uniform && {
        codec: blockCodec(uniform.rival),
        totalBytes: uniform.rival.memory.totalBytes,
        divergence: uniform.divergence,
      },
      ...(whole && { whole: { totalBytes: whole.rival.memory.totalBytes, divergence: whole.divergence } }),
      ships: own.mean === best ? "plan" : uniform?.divergence.mean === best ? "uniform" : "whole",
    };
  },
};

/** How far each source's model is from the checkpoint's on the held-out sequences. */
async function divergences(job: Job, sources: readonly WeightSource[], kvType: Plan["memory"]["kvType"]) {
  const { heldOut } = (await job.get(calibrationStep)).value;
  const windows = separateWindows(heldOut.map((sequence) => Int32Array.from(sequence)));
  const { executor, backend, threads, onProgress, signal } = job.options;
  const reference = await job.executors(job.origin.checkpoint);
  const executors = [];
  try {
    for (const source of sources) {
      executors.push(await createExecutor(source, { executor, backend, threads, residency: "packed" }));
    }
    const results = await evaluateAll({ executors, reference, windows, kvType, onProgress, signal });
    const means = results.map(({ divergence }) => ({
      mean: divergence?.mean ?? Number.NaN,
      meanError: divergence?.meanError ?? Number.NaN,
    }));
    return { tokens: windows.textTokens, means };
  } finally {
    await reference.dispose();
    for (const one of executors) await one.dispose();
  }
}

function blockCodec({ units }: Plan): string {
  return (units.find(({ id }) => blockOf(id) !== null) ?? units[0]).codec;
}
