import { attention } from "./attention.ts";
import { block } from "./block.ts";
import { heads } from "./heads.ts";
import type { PruningKind } from "./kind.ts";
import { mlp } from "./mlp.ts";
import { neurons } from "./neurons.ts";

/** Every kind of pruning under its name in recipes. A new one is a file and a line here. */
export const PRUNING_KINDS = { neurons, heads, block, attention, mlp } as const satisfies Record<string, PruningKind>;

export type PruningKindId = keyof typeof PRUNING_KINDS;

/** All names, in the table's order. */
export const PRUNING_KIND_IDS: readonly PruningKindId[] = Object.keys(PRUNING_KINDS).filter(isPruningKind);

/** Whether there is a kind of that name. */
export function isPruningKind(name: string): name is PruningKindId {
  return Object.hasOwn(PRUNING_KINDS, name);
}
