import type { MemorySum } from "../../artifact/plan.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { type MemoryOptions, memorySum } from "../../model/memory.ts";
import type { Assignment } from "./matrices.ts";

/**
 * Memory sums of one model, each assignment computed once: allocators and sweeps of budgets ask for the same ones
 * again.
 */
export function memoryReader(spec: DecoderSpec, options: MemoryOptions): (assignment: Assignment) => MemorySum {
  const known = new Map<string, MemorySum>();
  return (assignment) => {
    const key = [...assignment.values()].join();
    const sum = known.get(key) ?? memorySum(spec, assignment, options);
    known.set(key, sum);
    return sum;
  };
}
