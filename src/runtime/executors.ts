import type { ExecutorDeclaration, ExecutorTraits } from "./executor-declaration.ts";
import { NATIVE } from "./native/declaration.ts";
import { TFJS } from "./tfjs/declaration.ts";

/** Every kind of executor, from the fastest to the slowest. */
export const EXECUTORS = {
  native: NATIVE,
  tfjs: TFJS,
} as const satisfies Record<string, ExecutorDeclaration>;

export type ExecutorKind = keyof typeof EXECUTORS;

/** Their names, in the table's order. */
export const EXECUTOR_KINDS: readonly ExecutorKind[] = Object.keys(EXECUTORS).filter(isExecutorKind);

/** What may be asked for; `auto`: the first that runs here. */
export const EXECUTOR_CHOICES = ["auto" as const, ...EXECUTOR_KINDS];
export type ExecutorChoice = (typeof EXECUTOR_CHOICES)[number];

/** The kind that an executor says it is (ExecutorInfo). Throws where the table has none of that name. */
export function kindOf({ executor }: { readonly executor: string }): ExecutorKind {
  if (isExecutorKind(executor)) return executor;
  throw new Error(`executor: expected ${EXECUTOR_KINDS.join(" or ")}, found ${executor}`);
}

/** What may be relied on with an executor. */
export function traitsOf(info: { readonly executor: string }): ExecutorTraits {
  return EXECUTORS[kindOf(info)].traits;
}

/**
 * Whether the offline stages compute on the addon, where it is there: unless an executor that has none of it is asked
 * for by name.
 */
export function wantsNativeMaths(choice: ExecutorChoice): boolean {
  return choice === "auto" || EXECUTORS[choice].traits.nativeMaths;
}

function isExecutorKind(name: string): name is ExecutorKind {
  return Object.hasOwn(EXECUTORS, name);
}
