import type { Session } from "../../decoding/session.ts";
import {
  beginSession,
  checkPrompts,
  type DrafterRun,
  type DraftingModel,
  type MeasureOptions,
  runOnce,
} from "./measure.ts";
import { type DrafterSetup, PLAIN_SETUP } from "./setups.ts";

/** Where a text first leaves plain decoding's. */
interface TextDifference {
  readonly prompt: number;
  /** Index of the generated token. */
  readonly position: number;
  /** Plain decoding's largest logit less its second largest there. */
  readonly gap: number;
}

/** How one way to draft compares with plain decoding, token for token. */
export interface LosslessCheck {
  readonly setup: DrafterSetup;
  readonly prompts: number;
  /** Tokens compared: of a text that differs, those to the first difference. */
  readonly tokens: number;
  readonly drafted: number;
  readonly accepted: number;
  readonly differences: readonly TextDifference[];
}

/**
 * Compares greedy texts of every way to draft with plain decoding's. On the native executor there must be no
 * difference; on tfjs, whose numbers depend on the batch, one is no error where the two largest logits are close.
 * Throws UserError BENCH as `measureDrafters`.
 */
export async function checkLossless(
  model: DraftingModel,
  setups: readonly DrafterSetup[],
  options: MeasureOptions,
): Promise<LosslessCheck[]> {
  const { prompts, generateTokens, onProgress } = options;
  checkPrompts(prompts, generateTokens, model.contextTokens);
  const found = setups.map((setup): Tally => ({ setup, tokens: 0, drafted: 0, accepted: 0, differences: [] }));
  for (const [at, prompt] of prompts.entries()) {
    const begun = await beginSession(model, prompt, options);
    try {
      const plain = await runOnce(model, begun, { prompt, setup: PLAIN_SETUP, options });
      for (const check of found) {
        const run = await runOnce(model, begun, { prompt, setup: check.setup, options });
        const position = firstDifference(plain, run);
        check.tokens += position ?? run.ids.length;
        check.drafted += run.decoding.drafted;
        check.accepted += run.decoding.accepted;
        if (position === null) continue;
        const gap = await gapAfter(begun, [...prompt.subarray(-1), ...plain.ids.slice(0, position)]);
        check.differences.push({ prompt: at, position, gap });
      }
    } finally {
      begun.close();
    }
    onProgress?.({ stage: "comparing texts", done: at + 1, total: prompts.length });
  }
  return found.map((check) => ({ ...check, prompts: prompts.length }));
}

/** A check under way. */
interface Tally {
  readonly setup: DrafterSetup;
  tokens: number;
  drafted: number;
  accepted: number;
  readonly differences: TextDifference[];
}

/** Null where both texts are the same; where one ends, the end is the difference. */
function firstDifference({ ids: plain }: DrafterRun, { ids }: DrafterRun): number | null {
  const length = Math.max(plain.length, ids.length);
  for (let i = 0; i < length; i++) if (plain[i] !== ids[i]) return i;
  return null;
}

/** Largest logit less the second after these ids, computed as plain decoding does: one after the other. */
async function gapAfter(begun: Session, ids: readonly number[]): Promise<number> {
  const session = begun.fork();
  try {
    let [first, second] = [Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
    for (const [i, id] of ids.entries()) {
      const logits = await session.feed([id]);
      if (i < ids.length - 1) continue;
      for (const logit of logits) {
        if (logit > first) [first, second] = [logit, first];
        else if (logit > second) second = logit;
      }
    }
    return first - second;
  } finally {
    session.close();
  }
}
