import type { VoteRule } from "./vote-rule.ts";

/** The most confident vote of anyone: p(t) ~ max_e p_e(t) (EDGE-LLM, arXiv 2406.15758). */
export const MAX: VoteRule = {
  what: "the highest probability that any gives",
  weighted: false,
  join: Math.max,
};
