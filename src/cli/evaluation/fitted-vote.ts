import type { DecodeRequest } from "../../decoding/choose-decode.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import { UserError } from "../../errors.ts";
import { readFileBytes } from "../../formats/files.ts";
import { plainTextOf } from "../../formats/text-file.ts";
import type { EvaluationArguments } from "../options/evaluation-options.ts";
import type { Terminal } from "../terminal.ts";
import { MAX_TEXT_BYTES } from "./text-evaluation.ts";

/** Tokens that weights are fitted to, at most: a handful of numbers needs no more. */
const MOST_TOKENS = 8192;

interface FitWork {
  readonly file: string;
  readonly args: EvaluationArguments;
  readonly beginning: readonly number[];
  readonly terminal: Terminal;
}

/**
 * A request to vote with weights that are fitted to a text first. Throws UserError VOTE_TEXT where it is the text of
 * the evaluation, or weights are given already.
 */
export async function fittedRequest(
  model: OpenModel,
  request: DecodeRequest,
  { file, args, beginning, terminal: { signal, onProgress } }: FitWork,
): Promise<DecodeRequest> {
  const { ruleWith, VOTE_RULES } = await import("../../decoding/exits/vote-rules/index.ts");
  if (request.voteWeights !== undefined || (request.vote && !VOTE_RULES[request.vote].weighted)) {
    throw new UserError("VOTE_TEXT", "vote-text: expected a vote by weights to be fitted", "leave out one of them");
  }
  const { chooseDecode } = await import("../../decoding/choose-decode.ts");
  const { fitVoteWeights } = await import("../../evaluation/voting/calibrate-vote.ts");
  const { cutWindows } = await import("../../evaluation/windows.ts");
  const bytes = await readFileBytes(file, MAX_TEXT_BYTES);
  if (args.text !== undefined && Buffer.compare(await readFileBytes(args.text, MAX_TEXT_BYTES), bytes) === 0) {
    throw new UserError("VOTE_TEXT", "vote-text: expected another text than --text, found the same");
  }
  const decode = await chooseDecode(model, { ...request, vote: ruleWith(false) });
  if (!("weights" in decode)) throw new Error("vote-text: what was chosen does not vote");
  const { windows } = cutWindows(model.tokenizer.encode(plainTextOf(bytes, file), { specialTokens: false }), {
    windowTokens: args.window,
    maxWindowTokens: model.executor.spec.maxPositions,
    maxWindows: Math.max(1, Math.floor(MOST_TOKENS / args.window)),
    beginning,
    label: file,
  });
  const asked = { executor: model.executor, exits: decode.exits, signal, onProgress };
  const { weights } = await fitVoteWeights(asked, windows);
  return { ...request, voteWeights: weights };
}
