import { MAX } from "./max.ts";
import type { VoteRule } from "./vote-rule.ts";
import { WEIGHTED } from "./weighted.ts";

/** How exits and output head vote, by name: one file and one line each. */
export const VOTE_RULES = {
  max: MAX,
  weighted: WEIGHTED,
} as const satisfies Record<string, VoteRule>;

export type VoteRuleId = keyof typeof VOTE_RULES;

/** All rules, in the table's order. */
export const VOTE_RULE_IDS: readonly VoteRuleId[] = Object.keys(VOTE_RULES).filter(isName);

/** The first rule whose voters count by weights, or by none. */
export function ruleWith(weights: boolean): VoteRuleId {
  const found = VOTE_RULE_IDS.find((id) => VOTE_RULES[id].weighted === weights);
  if (found !== undefined) return found;
  throw new Error("vote rules: expected one with weights and one without");
}

function isName(name: string): name is VoteRuleId {
  return Object.hasOwn(VOTE_RULES, name);
}
