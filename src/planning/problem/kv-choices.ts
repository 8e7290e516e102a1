import { UserError } from "../../errors.ts";
import type { KvType } from "../../model/kv-type.ts";
import type { Scores } from "../../scoring/scores.ts";

/** A type of the KV cache and the loss that it costs. */
export interface KvChoice {
  readonly type: KvType;
  readonly loss: number;
}

/**
 * The types to choose from with the losses that the scores have for them under `kv`; f32 and f16 without one count as
 * no loss. Without a choice the one `fixed`, which then costs nothing. Throws UserError `SCORES_MISMATCH` for q8
 * without a loss.
 */
export function kvChoices(types: readonly KvType[], fixed: KvType, scores: Scores | null): KvChoice[] {
  if (types.length === 0) return [{ type: fixed, loss: 0 }];
  if (!scores) return types.map((type) => ({ type, loss: 0 }));
  return types.map((type) => {
    const loss = scores.losses?.kv?.[type] ?? (type === "q8" ? null : 0);
    if (loss !== null) return { type, loss };
    throw new UserError(
      "SCORES_MISMATCH",
      `plan.kvChoices: scores "${scores.scorer}": expected a loss of the KV type ${type}, found none`,
      'score with kl and its option kv: ["q8"], or leave kvChoices out',
    );
  });
}
