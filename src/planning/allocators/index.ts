import type { Allocator } from "./allocator.ts";
import { lsaq } from "./lsaq.ts";
import { luc } from "./luc.ts";
import { optimal } from "./optimal.ts";
import { uniform } from "./uniform.ts";

/** Every allocator under its name in recipes and plans. A new one is a file and a line here. */
export const ALLOCATORS = { lsaq, luc, optimal, uniform } as const satisfies Record<string, Allocator>;

export type AllocatorId = keyof typeof ALLOCATORS;

/** Plans where there is nothing to rank by. */
export const UNRANKED: AllocatorId = "uniform";

/** The allocator that settings name. */
export function allocatorOf({ allocator }: { readonly allocator: AllocatorId }): Allocator {
  return ALLOCATORS[allocator];
}

function isAllocatorId(id: string): id is AllocatorId {
  return Object.hasOwn(ALLOCATORS, id);
}

/** All names, in the table's order. */
export const ALLOCATOR_IDS: readonly AllocatorId[] = Object.keys(ALLOCATORS).filter(isAllocatorId);
