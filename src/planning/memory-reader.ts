import type { MemorySum } from "../artifact/plan.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { memorySum } from "../model/memory.ts";
import type { Assignment } from "./units.ts";

/** What a memory sum depends on beside the model and its codecs. */
export interface MemoryConditions {
  readonly contextTokens: number;
  readonly kvType: MemorySum["kvType"];
  readonly residency: MemorySum["residency"];
  readonly budgetCovers: MemorySum["budgetCovers"];
  readonly runtimeBaseBytes: number;
}

/** Memory sums of one model, each assignment computed once: allocators and sweeps ask for the same ones again. */
export function memoryReader(spec: DecoderSpec, conditions: MemoryConditions): (assignment: Assignment) => MemorySum {
  const known = new Map<string, MemorySum>();
  return (assignment) => {
    const key = [...assignment.values()].join();
    const sum = known.get(key) ?? memorySum(spec, assignment, conditions);
    known.set(key, sum);
    return sum;
  };
}
