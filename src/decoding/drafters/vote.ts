import { z } from "zod";
import type { ExitSet } from "../exits/exit-set.ts";
import { votingExecutor } from "../exits/voting-executor.ts";
import { EveryBlockDecoder } from "../speculative/every-block.ts";
import { type DecodeBase, defineDrafter } from "./drafter.ts";
import { EXITS, exitsOf } from "./exits.ts";

export interface VoteOptions extends DecodeBase {
  readonly kind: "vote";
  readonly exits: ExitSet;
}

/** Every block and every exit for every token: the exits and the output head vote (EDGE-LLM, arXiv 2406.15758). */
export const VOTE = defineDrafter({
  kind: "vote",
  what: "all exits and the output head vote on every token, slower, other text",
  lossless: false,
  unasked: false,
  needs: EXITS,
  options: z.strictObject({}),
  reports: [],
  bench: null,
  choose: async (model): Promise<VoteOptions> => ({ kind: "vote", exits: await exitsOf(model) }),
  executor: (executor, { exits }) => votingExecutor(executor, exits),
  create: (parts, { exits }) =>
    new EveryBlockDecoder(parts, { kind: "vote", through: votingExecutor(parts.session.executor, exits) }),
  describe: ({ kind }) => ({ kind }),
});
