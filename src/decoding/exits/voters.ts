import { UserError } from "../../errors.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { OUTPUT_HEAD } from "../../runtime/heads.ts";
import type { ExitSet } from "./exit-set.ts";
import { VOTE_RULES, type VoteRuleId } from "./vote-rules/index.ts";

/** Exits that vote beside the output head; their thresholds are of no use here. */
export type Voters = Pick<ExitSet, "exits" | "ids">;

/** How they vote. */
export interface Voting {
  readonly exits: Voters;
  readonly vote: VoteRuleId;
  /** One an exit, then the output head's, on any scale; null with a rule that has none. */
  readonly weights: readonly number[] | null;
}

/**
 * Exits without heads of their own after so many blocks each: the model's final norm and output head read what is there
 * (the logit lens), so that nothing is stored or loaded for them. Throws UserError EXITS_AT.
 */
export function sharedVoters(spec: Pick<DecoderSpec, "blocks">, after: readonly number[]): Voters {
  const most = spec.blocks.length - 1;
  for (const [i, blocks] of after.entries()) {
    if (Number.isInteger(blocks) && blocks >= 1 && blocks <= most && (i === 0 || blocks > after[i - 1])) continue;
    throw new UserError(
      "EXITS_AT",
      `exits-at: expected rising numbers of blocks from 1 to ${most}, found ${after.join(",")}`,
      "the output head after the last block votes anyway",
    );
  }
  return { exits: after.map((blocks) => ({ blocks, head: OUTPUT_HEAD })), ids: null };
}

/** Throws UserError VOTE_WEIGHTS unless there is a weight for each voter, none below 0 and one above. */
export function checkVoteWeights(weights: readonly number[], { exits }: Voters): void {
  const isRight = weights.every((weight) => weight >= 0 && Number.isFinite(weight)) && weights.some((one) => one > 0);
  if (isRight && weights.length === exits.length + 1) return;
  throw new UserError(
    "VOTE_WEIGHTS",
    `vote-weights: expected ${exits.length + 1} numbers from 0 up, not all 0, found ${weights.join(",")}`,
    "one for each exit, then the output head's",
  );
}

/** The weight of each exit, then of the output head; throws a plain Error where the rule has none and needs them. */
export function weightsOf({ exits: { exits }, vote, weights }: Voting): readonly number[] {
  if (!VOTE_RULES[vote].weighted) return Array.from({ length: exits.length + 1 }, () => 1);
  if (weights?.length === exits.length + 1) return weights;
  throw new Error(`vote: expected ${exits.length + 1} weights with ${vote}, found ${weights?.length ?? "none"}`);
}
