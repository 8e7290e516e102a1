import type { z } from "zod";
import { cosine } from "./cosine.ts";
import { kl } from "./kl/kl.ts";
import { lsaq } from "./lsaq.ts";
import { outputMse } from "./output-mse.ts";
import { type Scorer, TokensOption } from "./scorer.ts";

/** Every scorer under the name that recipes use. A new one is a file and a line here. */
export const SCORERS = {
  lsaq,
  cosine,
  "output-mse": outputMse,
  kl,
} as const satisfies Record<string, Scorer>;

export type ScorerId = keyof typeof SCORERS;

export const SCORER_IDS = Object.keys(SCORERS).filter(isScorerId);

/** What the options of a scorer may be. */
export function scorerOptions(scorer: ScorerId): z.ZodObject {
  return SCORERS[scorer].options.extend(TokensOption.shape);
}

/** True for the name of a scorer. */
export function isScorerId(name: string): name is ScorerId {
  return Object.hasOwn(SCORERS, name);
}
