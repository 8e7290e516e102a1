import type { VoteWeights } from "../../artifact/exits/table.ts";
import type { Voters } from "../../decoding/exits/voters.ts";
import { UserError } from "../../errors.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { meanWithError } from "../statistics.ts";
import { countTargets, type Window } from "../windows.ts";
import { mixtureWeights } from "./mixture-weights.ts";
import { type VoterProbabilities, voterProbabilities } from "./voter-probabilities.ts";

/** Who votes. */
interface Asked extends WorkOptions {
  readonly executor: AnyExecutor;
  readonly exits: Voters;
}

/**
 * Weights of exits and output head for the rule `weighted`, one an exit and the output head's last: those of the
 * mixture under which the windows' targets are likeliest, each voter as it is. What a head over some ids leaves to
 * others goes to no id here, and to all in a vote: the fit is exact for heads over the whole vocabulary, for others a
 * bound from below. The output head alone is one of the mixtures, so that on text of the same kind the vote loses to it
 * by chance only. Throws UserError TEXT_TOO_SHORT.
 */
export async function fitVoteWeights({ executor, exits, ...work }: Asked, windows: readonly Window[]) {
  const tokens = checkedTokens(windows);
  const voters = await voterProbabilities(executor, exits, windows, work);
  return { weights: mixtureWeights(voters.map(({ targets }) => targets)), tokens };
}

/** What weights do on windows that they were not fitted to. Throws UserError TEXT_TOO_SHORT. */
export async function reportVote(
  { executor, exits, ...work }: Asked,
  weights: readonly number[],
  windows: readonly Window[],
): Promise<VoteWeights["report"]> {
  const tokens = checkedTokens(windows);
  const voters = await voterProbabilities(executor, exits, windows, work);
  const output = voters[exits.exits.length].targets.map((logProbability) => -logProbability);
  const vote = voteLosses(voters, weights);
  const differences = vote.map((loss, token) => loss - output[token]);
  return {
    tokens,
    outputNll: meanWithError(output).mean,
    voteNll: meanWithError(vote).mean,
    differenceError: meanWithError(differences).error,
  };
}

/** -ln of what a vote by weights gives each token, nats: the mixture, made to sum to 1 without the tails. */
export function voteLosses(voters: readonly VoterProbabilities[], weights: readonly number[]): Float64Array {
  const mixed = (token: number, part: keyof VoterProbabilities) =>
    voters.reduce((sum, voter, i) => sum + weights[i] * Math.exp(voter[part][token]), 0);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return voters[0].targets.map(
    (_, token) => Math.log(total - mixed(token, "tails")) - Math.log(mixed(token, "targets")),
  );
}

function checkedTokens(windows: readonly Window[]): number {
  const tokens = countTargets(windows);
  if (tokens > 0) return tokens;
  throw new UserError("TEXT_TOO_SHORT", "vote: text: expected at least one token to fit weights to, found none");
}
