import { z } from "zod";
import { UserError } from "../../errors.ts";
import { ruleWith, VOTE_RULE_IDS, VOTE_RULES } from "../exits/vote-rules/index.ts";
import { checkVoteWeights, sharedVoters, type Voting } from "../exits/voters.ts";
import { votingExecutor } from "../exits/voting-executor.ts";
import type { OpenModel } from "../open-model.ts";
import { EveryBlockDecoder } from "../speculative/every-block.ts";
import { type DecodeBase, defineDrafter } from "./drafter.ts";
import { exitsOf } from "./exits.ts";

export interface VoteOptions extends DecodeBase, Voting {
  readonly kind: "vote";
}

const OPTIONS = z.strictObject({
  vote: z.enum(VOTE_RULE_IDS).optional().describe(rulesText()),
  exitsAt: z
    .array(z.number().or(z.nan()))
    .optional()
    .describe("Vote of the model's own output head after so many blocks each (8,16,24), in place of trained exits"),
  voteWeights: z
    .array(z.number().or(z.nan()))
    .optional()
    .describe("What each exit's vote counts, then the output head's; default: as fitted for the artifact's exits"),
});

/** Every block and every exit for every token: the exits and the output head vote (EDGE-LLM, arXiv 2406.15758). */
export const VOTE = defineDrafter({
  kind: "vote",
  what: "all exits and the output head vote on every token, slower, other text",
  lossless: false,
  unasked: false,
  needs: null,
  options: OPTIONS,
  reports: [],
  bench: null,
  choose: async (model, request): Promise<VoteOptions> => ({ kind: "vote", ...(await votingOf(model, request)) }),
  executor: (executor, voting) => votingExecutor(executor, voting),
  create: (parts, voting) =>
    new EveryBlockDecoder(parts, { kind: "vote", through: votingExecutor(parts.session.executor, voting) }),
  describe: ({ kind, vote, exits: { exits }, weights }) => ({
    ...{ kind, vote, exits: exits.map(({ blocks }) => blocks), weights },
  }),
});

/** By weights where the exits have some, unless another rule is asked for. */
async function votingOf(model: OpenModel, { vote, exitsAt, voteWeights }: z.infer<typeof OPTIONS>): Promise<Voting> {
  const trained = exitsAt ? null : await exitsOf(model);
  const exits = trained ?? sharedVoters(model.executor.spec, exitsAt ?? []);
  const weights = voteWeights ?? trained?.voteWeights ?? null;
  const rule = vote ?? ruleWith(weights !== null);
  if (!VOTE_RULES[rule].weighted) {
    if (!voteWeights) return { exits, vote: rule, weights: null };
    throw new UserError(
      "VOTE_WEIGHTS",
      `vote-weights: expected --vote ${ruleWith(true)}, found ${rule}`,
      "leave out one of them",
    );
  }
  if (!weights) {
    throw new UserError(
      "VOTE_WEIGHTS",
      `vote: expected weights for ${rule}, found none`,
      `layerwise exits --vote ${rule} fits some, --vote-weights gives them`,
    );
  }
  checkVoteWeights(weights, exits);
  return { exits, vote: rule, weights };
}

function rulesText(): string {
  const rules = Object.entries(VOTE_RULES).map(([name, { what }]) => `${name}: ${what}`);
  return `How exits vote: ${rules.join("; ")}. Default: by weights where the exits have them`;
}
