import { attention } from "./attention.ts";
import { block } from "./block.ts";
import { heads } from "./heads.ts";
import type { PruningKind } from "./kind.ts";
import type { MaskKind } from "./mask-kind.ts";
import { mlp } from "./mlp.ts";
import { neurons } from "./neurons.ts";
import { twoOfFour } from "./two-of-four.ts";
import { unstructured } from "./unstructured.ts";

/** Every kind of pruning that takes slices out, under its name in recipes. A new one is a file and a line here. */
export const PRUNING_KINDS = { neurons, heads, block, attention, mlp } as const satisfies Record<string, PruningKind>;

export type PruningKindId = keyof typeof PRUNING_KINDS;

/** All names, in the table's order. */
export const PRUNING_KIND_IDS: readonly PruningKindId[] = Object.keys(PRUNING_KINDS).filter(isPruningKind);

/** Whether there is a kind of that name. */
export function isPruningKind(name: string): name is PruningKindId {
  return Object.hasOwn(PRUNING_KINDS, name);
}

/** Every kind that leaves shapes as they are, under its name in recipes. A new one is a file and a line here. */
export const MASK_KINDS = { "2:4": twoOfFour, unstructured } as const satisfies Record<string, MaskKind>;

type MaskKindId = keyof typeof MASK_KINDS;

/** All their names, in the table's order. */
export const MASK_KIND_IDS: readonly MaskKindId[] = Object.keys(MASK_KINDS).filter(isMaskName);

function isMaskName(name: string): name is MaskKindId {
  return Object.hasOwn(MASK_KINDS, name);
}
