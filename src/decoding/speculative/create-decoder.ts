import { UserError } from "../../errors.ts";
import { createSampler, GREEDY, type SamplerOptions } from "../sampler.ts";
import type { Session } from "../session.ts";
import { adaptiveController, fixedController, MOST_DRAFTS } from "./controller.ts";
import type { TokenDecoder } from "./decoder.ts";
import { greedyJudge, samplingJudge } from "./draft-judge.ts";
import { DssdDecoder } from "./dssd.ts";
import { EarlyExitDecoder } from "./early-exit.ts";
import { checkExitSet, type ExitSet, levelFor } from "./exit-set.ts";
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
      /** Change epsilon and the limit as it pays, and decode plainly where nothing does; default true. */
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

const DRAFT_LIMIT = 8;

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
  const { temperature, topK, repetitionPenalty } = { ...GREEDY, ...asked };
  const draws = temperature > 0 && topK !== 1;
  if (decode.kind === "early-exit") {
    return new EarlyExitDecoder(parts, { exits, level, greedy: !draws && repetitionPenalty === 1 });
  }
  const draftLimit = checkedDraftLimit(decode.draftLimit ?? DRAFT_LIMIT);
  const { vocabSize } = session.executor.spec;
  const judge = draws ? samplingJudge({ ...asked }, { ids: exits.ids, vocabSize }) : greedyJudge(sampler);
  const start = { level, draftLimit };
  const controller =
    (decode.adapt ?? true) ? adaptiveController({ start, levels: exits.levels.length, now }) : fixedController(start);
  return new DssdDecoder(parts, { exits, judge, controller });
}

function checkedDraftLimit(draftLimit: number): number {
  if (Number.isInteger(draftLimit) && draftLimit >= 1 && draftLimit <= MOST_DRAFTS) return draftLimit;
  throw new UserError(
    "DRAFT_LIMIT",
    `draft-limit: expected a whole number from 1 to ${MOST_DRAFTS}, found ${draftLimit}`,
  );
}
