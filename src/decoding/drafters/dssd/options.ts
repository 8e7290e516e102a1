import { UserError } from "../../../errors.ts";
import { MOST_DRAFTS } from "../../speculative/drafted-round.ts";
import type { ExitOptions } from "../exits.ts";

/** Agreement wanted where nothing is said or known: drafts are verified, so that a wrong one costs time only. */
export const DEFAULT_EPSILON = 0.8;

/** Draft tokens of one round at most, where nothing else is said. */
export const DRAFT_LIMIT = 8;

export interface DssdOptions extends ExitOptions {
  /**
   * Exits' answers are drafts that the full model verifies: the text, or with a temperature its distribution, is plain
   * decoding's.
   */
  readonly kind: "dssd";
  /** Draft tokens of one round, at most; default 8. */
  readonly draftLimit?: number | undefined;
  /** Index of the first exit that is asked; default 0. */
  readonly firstExit?: number | undefined;
  /**
   * Change epsilon, limit and first exit as it pays, and decode plainly where nothing does. Default: unless tokens are
   * drawn, because what rounds do then depends on measured times, and which numbers a draw takes on the rounds before
   * it. What was learned is the session's: its next generation with the same exits and settings goes on from there.
   */
  readonly adapt?: boolean | undefined;
}

/** The number itself. Throws UserError DRAFT_LIMIT where a round cannot have so many drafts. */
export function checkedDraftLimit(draftLimit: number): number {
  if (Number.isInteger(draftLimit) && draftLimit >= 1 && draftLimit <= MOST_DRAFTS) return draftLimit;
  throw new UserError(
    "DRAFT_LIMIT",
    `draft-limit: expected a whole number from 1 to ${MOST_DRAFTS}, found ${draftLimit}`,
  );
}
