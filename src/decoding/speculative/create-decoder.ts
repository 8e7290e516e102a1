import { UserError } from "../../errors.ts";
import { checkExitSet, type ExitSet, levelFor } from "../exits/exit-set.ts";
import { createSampler, drawsTokens, type SamplerOptions } from "../sampler.ts";
import type { Session } from "../session.ts";
import { fixedController, MOST_DRAFTS } from "./controller.ts";
import type { TokenDecoder } from "./decoder.ts";
import { greedyJudge, samplingJudge } from "./draft-judge.ts";
import { DssdDecoder } from "./dssd.ts";
import { EarlyExitDecoder } from "./early-exit.ts";
import { PlainDecoder } from "./plain.ts";

/** How tokens are computed. */
export type DecodeOptions =
  | { readonly kind: "plain" }
  | {
      /** Exits' answers are the text: faster, and close to plain decoding's. */
      readonly kind: "early-exit";
      readonly exits: ExitSet;
      /** Wanted agreement with the full model: the lowest level calibrated for at least that. */
      readonly epsilon: number;
    }
  | {
      /** Exits' answers are drafts that the full model verifies: the text, or with a temperature its distribution, is plain decoding's. */
      readonly kind: "dssd";
      readonly exits: ExitSet;
      readonly epsilon: number;
      /** Draft tokens of one round, at most; default 8. */
      readonly draftLimit?: number | undefined;
      /** Index of the first exit that is asked; default 0. */
      readonly firstExit?: number | undefined;
      /**
       * Change epsilon, limit and first exit as it pays, and decode plainly where nothing does. Default: unless tokens are drawn, because what
       * rounds do then depends on measured times, and which numbers a draw takes on the rounds before it. What was learned is the
       * session's: its next generation with the same exits and settings goes on from there.
       */
      readonly adapt?: boolean | undefined;
    };

/** What a decoder is made for. */
export interface DecoderSettings {
  readonly decode: DecodeOptions | undefined;
  readonly sampler: Partial<SamplerOptions> | undefined;
  /** Every id of the sequence, the coming prompt's too. */
  readonly history: number[];
  /** Milliseconds on a clock that never goes back. */
  readonly now: () => number;
}

/** Draft tokens of one round at most, where nothing else is said. */
export const DRAFT_LIMIT = 8;

/** A decoder that continues a session. Throws UserError EPSILON or DRAFT_LIMIT on values out of range, SAMPLER as `createSampler`. */
export function createDecoder(
  session: Session,
  { decode, sampler: asked, history, now }: DecoderSettings,
): TokenDecoder {
  const sampler = createSampler(asked);
  const parts = { session, sampler, history };
  if (decode === undefined || decode.kind === "plain") return new PlainDecoder(parts);
  const { exits } = decode;
  checkExitSet(exits, session.executor.spec);
  const level = levelFor(exits, decode.epsilon);
  if (decode.kind === "early-exit") return new EarlyExitDecoder(parts, { exits, level });
  const draftLimit = checkedDraftLimit(decode.draftLimit ?? DRAFT_LIMIT);
  const { vocabSize } = session.executor.spec;
  const draws = drawsTokens(asked ?? {});
  const judge = draws ? samplingJudge({ ...asked }, { ids: exits.ids, vocabSize }) : greedyJudge(sampler);
  const start = { level, firstExit: decode.firstExit ?? 0, draftLimit };
  const adapt = decode.adapt ?? !draws;
  const controller = adapt ? session.controllers.of(exits, { start, draws }, now) : fixedController(start);
  return new DssdDecoder(parts, { exits, judge, controller });
}

/** The number itself. Throws UserError DRAFT_LIMIT where a round cannot have so many drafts. */
export function checkedDraftLimit(draftLimit: number): number {
  if (Number.isInteger(draftLimit) && draftLimit >= 1 && draftLimit <= MOST_DRAFTS) return draftLimit;
  throw new UserError(
    "DRAFT_LIMIT",
    `draft-limit: expected a whole number from 1 to ${MOST_DRAFTS}, found ${draftLimit}`,
  );
}
