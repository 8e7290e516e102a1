import type { VoteRule } from "./vote-rule.ts";

/** e^-17 of a probability is less than f32 can tell of it. */
const F32_DIFFERENCE = 17;

/** A mixture: p(t) ~ sum_e w_e p_e(t), the weights those that make text likeliest (evaluation/voting). */
export const WEIGHTED: VoteRule = {
  what: "the mean by weights that were fitted to text",
  weighted: true,
  join: (one, other) => {
    const [high, low] = one > other ? [one, other] : [other, one];
    return high - low < F32_DIFFERENCE ? high + Math.log1p(Math.exp(low - high)) : high;
  },
};
