import type { Tokenizer } from "../../model/tokenizer.ts";
import type { Example } from "./task.ts";

/** A choice in ids: the whole sequence, of which the ids from `firstTarget` on are scored. */
export interface TokenizedChoice {
  readonly ids: Int32Array;
  readonly firstTarget: number;
}

export interface TokenizeOptions {
  /** Ids put before every context. */
  readonly beginning: readonly number[];
  /** The longest sequence that the model computes. What is longer loses its beginning. */
  readonly maxTokens: number;
}

/**
 * Ids of an example's choices as lm-evaluation-harness makes them: spaces at the end of the context go to the
 * continuation, the two are encoded as one text, and the context's own length says where the continuation begins. At
 * least one id is scored.
 */
export function tokenizeExample(tokenizer: Tokenizer, example: Example, options: TokenizeOptions): TokenizedChoice[] {
  const encode = (text: string) => tokenizer.encode(text, { specialTokens: false });
  const lengths = new Map<string, number>();
  return example.choices.map((choice) => {
    const context = choice.context.trimEnd();
    const moved = choice.context.slice(context.length);
    const contextIds = lengths.get(context) ?? encode(context).length;
    lengths.set(context, contextIds);
    const text = encode(context + moved + choice.continuation);
    const prefix = prefixOf(tokenizer, options.beginning, contextIds);
    const ids = Int32Array.from([...prefix, ...text]);
    // A token across the border would leave nothing to score.
    const firstTarget = Math.min(prefix.length + contextIds, ids.length - 1);
    return shorten(ids, firstTarget, options.maxTokens);
  });
}

/** What a text begins with where that is wanted; something must stand before the first scored id. */
function prefixOf(tokenizer: Tokenizer, beginning: readonly number[], contextIds: number): readonly number[] {
  if (beginning.length > 0 || contextIds > 0) return beginning;
  const first = tokenizer.bosToken ?? tokenizer.eosToken;
  return first === null ? [] : [first];
}

/** The last id of a sequence is only a target, so one id more than the model computes fits. */
function shorten(ids: Int32Array, firstTarget: number, maxTokens: number): TokenizedChoice {
  const drop = Math.max(0, ids.length - (maxTokens + 1));
  return { ids: ids.subarray(drop), firstTarget: Math.max(1, firstTarget - drop) };
}
