import type { CodecId } from "../../codecs/index.ts";
import { UserError } from "../../errors.ts";
import { type DecoderSpec, linearsOf } from "../../model/decoder-spec.ts";
import { blockName, idOf } from "../../model/matrix-id.ts";
import type { Scores } from "../../scoring/scores.ts";

/**
 * One number a block, higher = keep more bits: the scores' importance, else the loss at the narrowest codec.
 * Throws UserError `SCORES_MISMATCH` where the scores are another model's or do not cover the codec.
 */
export function blockImportance(scores: Scores, spec: DecoderSpec, narrowest: CodecId): number[] {
  const blocks = spec.blocks.length;
  if (scores.importance) {
    const found = scores.importance.length;
    if (found !== blocks) throw mismatch(scores, `expected ${blocks} blocks, found ${found}`);
    return [...scores.importance];
  }
  return spec.blocks.map((_, block) => {
    const loss = scores.losses?.[blockName(block)]?.[narrowest] ?? sumOfMatrices(scores, spec, block, narrowest);
    if (loss === undefined)
      throw mismatch(scores, `expected a loss of ${blockName(block)} at ${narrowest}, found none`);
    return loss;
  });
}

/** The block's loss from those of its matrices, where they were scored one by one. */
function sumOfMatrices({ losses }: Scores, spec: DecoderSpec, block: number, codec: CodecId): number | undefined {
  const own = linearsOf(spec.blocks[block]).map(({ role }) => losses?.[idOf(block, role)]?.[codec]);
  return own.reduce((sum, loss) => (sum === undefined || loss === undefined ? undefined : sum + loss), 0);
}

function mismatch(scores: Scores, what: string): UserError {
  return new UserError(
    "SCORES_MISMATCH",
    `scores "${scores.scorer}": ${what}`,
    "score this checkpoint with this recipe anew",
  );
}
