import { GuardResult } from "../../artifact/manifest.ts";
import type { Plan } from "../../artifact/plan.ts";
import { evaluateAll } from "../../evaluation/evaluate.ts";
import { separateWindows } from "../../evaluation/windows.ts";
import { blockOf } from "../../model/matrix-id.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import { createExecutor } from "../../runtime/create-executor.ts";
import type { Job, Step } from "../job.ts";
import { packedPlan, uniformRival } from "../packed-plan.ts";
import { libraryOf, planPairs, underPlan } from "../packing.ts";
import { usesLibrary } from "../recipe.ts";
import { hashOf } from "../step-key.ts";
import { calibrationStep } from "./calibration.ts";
import { planStep } from "./plan.ts";

/**
 * Compares the packed plan with the best uniform one of no more bytes, by KL divergence on text that nothing else saw.
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
    return { rival: rival && planPairs(rival), text: hashOf(heldOut) };
  },

  /** Measures both as they would run: the plan's own matrices, the rival's from the library. */
  async compute(job) {
    const { value: plan } = await job.get(planStep);
    const { packed } = await job.once(packedPlan);
    if (!packed) throw new Error("a guard compares packed matrices, and there are none");
    const rival = await job.once(uniformRival);
    const sources = rival ? [packed, await underPlan(job, await job.once(libraryOf), rival)] : [packed];
    const { tokens, means } = await divergences(job, sources, plan.memory.kvType);
    const [own, uniform] = means;
    return {
      tokens,
      plan: own,
      uniform: rival && { codec: blockCodec(rival), totalBytes: rival.memory.totalBytes, divergence: uniform },
      ships: rival !== null && uniform.mean < own.mean ? "uniform" : "plan",
    };
  },
};

/** How far each source's model is from the checkpoint's on the held-out sequences. */
async function divergences(job: Job, sources: readonly WeightSource[], kvType: Plan["memory"]["kvType"]) {
  const { heldOut } = (await job.get(calibrationStep)).value;
  const windows = separateWindows(heldOut.map((sequence) => Int32Array.from(sequence)));
  const { executor, backend, threads, onProgress, signal } = job.options;
  const reference = await job.executors(job.origin.source);
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
