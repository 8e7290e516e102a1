import { CODECS, type CodecId } from "../../codecs/index.ts";
import { blockName } from "../../model/matrix-id.ts";
import type { Losses } from "../../scoring/scores.ts";
import type { MatrixToPlan } from "./matrices.ts";

/**
 * The loss of a matrix at a codec: its own where it was measured or predicted by itself, else its share, by weights, of
 * its block's. Null where the codec has none; a float codec without one counts as no loss, and so do embedding and head
 * where the scorer measures none of theirs. A matrix of which a part is left out has its share, by weights, of the
 * whole one's loss; `matrices` are the whole ones.
 */
export function lossReader(
  losses: Losses,
  matrices: readonly MatrixToPlan[],
): (matrix: MatrixToPlan, codec: CodecId) => number | null {
  const weightsOfBlock = new Map<number, number>();
  for (const { block, weights } of matrices) {
    if (block !== null) weightsOfBlock.set(block, (weightsOfBlock.get(block) ?? 0) + weights);
  }
  const whole = new Map(matrices.map(({ id, weights }) => [id, weights]));
  const unmeasured = (codec: CodecId) => (CODECS[codec].scheme === "float" ? 0 : null);
  return (matrix, codec) => {
    const own = losses[matrix.id];
    if (own) {
      const loss = own[codec] ?? unmeasured(codec);
      return loss === null ? null : loss * (matrix.weights / (whole.get(matrix.id) ?? matrix.weights));
    }
    if (matrix.block === null) return 0;
    const ofBlock = losses[blockName(matrix.block)]?.[codec];
    if (ofBlock === undefined) return unmeasured(codec);
    return (matrix.weights / (weightsOfBlock.get(matrix.block) ?? matrix.weights)) * ofBlock;
  };
}
