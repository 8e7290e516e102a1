import { lucRatios, meanErrors } from "./ratios.ts";
import type { BlockSensitivity } from "./trials.ts";

/** The errors of a block that its share goes by, one a probe; null: none are measured, and all lose the same share. */
type Spread = ((of: BlockSensitivity) => readonly number[]) | null;

/** How what is pruned is spread over the blocks, by its name in recipes. */
export const SPREADS = {
  /** EDGE-LLM's rule, by errors relative to the outputs: deep blocks have larger ones. */
  luc: ({ relative }) => relative,
  /** The same by squared errors as they are, as the paper has it. */
  "edge-llm": ({ mse }) => mse,
  /** The same by the divergence of the whole model's output, which takes longer to measure. */
  kl: ({ kl }) => kl ?? [],
  uniform: null,
} as const satisfies Record<string, Spread>;

export type SpreadId = keyof typeof SPREADS;

/** Whether a spread goes by the divergence of the model's output. */
export function needsDivergence(spread: SpreadId): boolean {
  return SPREADS[spread] === SPREADS.kl;
}

/**
 * The share that each of some blocks loses, whose mean is `target` and none of which is above `most`. `measured`: one a
 * block; not looked at where nothing is measured. Throws UserError as `meanErrors`.
 */
export function spreadRatios(
  spread: SpreadId,
  { target, most }: { readonly target: number; readonly most: number },
  measured: readonly (BlockSensitivity | null)[],
): number[] {
  const errorsOf: Spread = SPREADS[spread];
  if (!errorsOf) return measured.map(() => target);
  return lucRatios(meanErrors(measured.map((of) => (of ? errorsOf(of) : []))), target, most);
}

/** All names, in the table's order. */
export const SPREAD_IDS: readonly SpreadId[] = Object.keys(SPREADS).filter(isName);

function isName(name: string): name is SpreadId {
  return Object.hasOwn(SPREADS, name);
}
