import type { GuardResult } from "../artifact/manifest.ts";
import type { Plan } from "../artifact/plan.ts";
import { evaluateAll } from "../evaluation/evaluate.ts";
import { blockOf } from "../model/matrix-id.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { Planner } from "../planning/planner.ts";
import { uniformPlans } from "../planning/uniform-plans.ts";
import { createExecutor } from "../runtime/create-executor.ts";
import { streamedExecutors } from "./executors.ts";
import { type LibraryWork, openLibrary, planPairs } from "./library-step.ts";

/** The uniform plan to beat: of those that take no more bytes the one with the least predicted loss, without one the largest. */
export function uniformRival(planner: Planner, plan: Plan): Plan | null {
  const rivals = uniformPlans(planner)
    .map((uniform) => uniform.plan)
    .filter(({ memory }) => memory.totalBytes <= plan.memory.totalBytes && memory.kvType === plan.memory.kvType);
  const worth = ({ predictedLoss, memory }: Plan) => predictedLoss ?? -memory.totalBytes;
  return rivals.reduce<Plan | null>((best, one) => (best && worth(best) <= worth(one) ? best : one), null);
}

/** Measures both on the held-out sequences, as they would run: the plan's own matrices, the rival's from the library. */
export async function guardPlan(
  work: LibraryWork,
  { plan, packed, rival }: { readonly plan: Plan; readonly packed: WeightSource; readonly rival: Plan | null },
): Promise<GuardResult> {
  const { checkpoint, calibration, options } = work;
  const sequences = calibration.heldOut.map((sequence) => Int32Array.from(sequence));
  const tokens = sequences.reduce((sum, sequence) => sum + sequence.length, 0);
  const sources = [packed];
  if (rival) {
    sources.push(openLibrary(work).under(checkpoint, new Map(planPairs(rival))));
  }
  const { executor, backend, threads, onProgress, signal } = options;
  const reference = await streamedExecutors(options)(checkpoint);
  const executors = [];
  try {
    for (const source of sources) {
      executors.push(await createExecutor(source, { executor, backend, threads, residency: "packed" }));
    }
    const windows = {
      windows: sequences.map((ids) => ({ ids, firstTarget: 1 })),
      ...{
        windowTokens: sequences[0].length,
        strideTokens: sequences[0].length,
        bosToken: null,
        scored: "all" as const,
      },
      ...{ textSha256: null, textTokens: tokens },
    };
    const { kvType } = plan.memory;
    const results = await evaluateAll({ executors, reference, windows, kvType, onProgress, signal });
    const [own, uniform] = results.map(({ divergence }) => ({
      mean: divergence?.mean ?? Number.NaN,
      meanError: divergence?.meanError ?? Number.NaN,
    }));
    const beaten = rival !== null && uniform.mean < own.mean;
    return {
      tokens,
      plan: own,
      uniform: rival && { codec: blockCodec(rival), totalBytes: rival.memory.totalBytes, divergence: uniform },
      ships: beaten ? "uniform" : "plan",
    };
  } finally {
    await reference.dispose();
    for (const one of executors) await one.dispose();
  }
}

function blockCodec({ units }: Plan): string {
  return (units.find(({ id }) => blockOf(id) !== null) ?? units[0]).codec;
}
