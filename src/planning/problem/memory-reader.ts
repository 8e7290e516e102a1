import type { MemorySum } from "../../artifact/plan.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { type MemoryOptions, memorySum } from "../../model/memory.ts";
import { type BlockForms, formedSpec } from "./block-forms.ts";
import type { Allocation } from "./problem.ts";

/**
 * Memory sums of one model, each allocation computed once: allocators and sweeps of budgets ask for the same ones
 * again.
 */
export function memoryReader(
  spec: DecoderSpec,
  forms: BlockForms,
  options: MemoryOptions,
): (allocation: Allocation) => MemorySum {
  const known = new Map<string, MemorySum>();
  return ({ forms: picks, assignment }) => {
    const key = [...picks, ...assignment.values()].join();
    const sum = known.get(key) ?? memorySum(formedSpec(spec, forms, picks), assignment, options);
    known.set(key, sum);
    return sum;
  };
}
