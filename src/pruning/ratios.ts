import { UserError } from "../errors.ts";

/**
 * Mean error of each block over the ratios at which it was measured: `errors[block][ratio]`. Throws UserError
 * `SENSITIVITY` for a block whose errors are not all finite and at least 0, or are all 0: pruning something changes
 * something, so that such a measurement is none.
 */
export function meanErrors(errors: readonly (readonly number[])[]): number[] {
  return errors.map((ofBlock, block) => {
    const wrong = ofBlock.find((error) => !(error >= 0 && Number.isFinite(error)));
    if (wrong !== undefined) throw badMeasurement(block, "finite errors of 0 or more", `${wrong}`);
    const sum = ofBlock.reduce((total, error) => total + error, 0);
    if (sum === 0) throw badMeasurement(block, "an error above 0 at some ratio", "none");
    return sum / ofBlock.length;
  });
}

/**
 * The share of each block that is pruned by EDGE-LLM's rule (LUC, arXiv 2406.15758): in proportion to 1 - s, s = the
 * block's mean error scaled to [0, 1]. The mean of the shares is `target`; none is above `most`, what is above goes to
 * the others in proportion. `errors`: one a block, finite; `target` in [0, most].
 */
export function lucRatios(errors: readonly number[], target: number, most = 1): number[] {
  if (!(target >= 0 && target <= most)) throw new RangeError(`target: expected 0 … ${most}, found ${target}`);
  const least = Math.min(...errors);
  const span = Math.max(...errors) - least;
  const weights = errors.map((error) => (span > 0 ? 1 - (error - least) / span : 1));
  const ratios = errors.map(() => most);
  let open = [...errors.keys()];
  for (let left = target * errors.length; open.length > 0; ) {
    const shares = sharesOf(left, open, weights);
    const full = open.filter((_, i) => shares[i] > most);
    if (full.length === 0) {
      for (const [i, block] of open.entries()) ratios[block] = shares[i];
      break;
    }
    left -= full.length * most;
    open = open.filter((block) => !full.includes(block));
  }
  return ratios;
}

/** `left` in proportion to the weights of some blocks; evenly where all of these are 0. */
function sharesOf(left: number, blocks: readonly number[], weights: readonly number[]): number[] {
  const sum = blocks.reduce((total, block) => total + weights[block], 0);
  return blocks.map((block) => Math.max(0, left) * (sum > 0 ? weights[block] / sum : 1 / blocks.length));
}

function badMeasurement(block: number, expected: string, found: string): UserError {
  return new UserError(
    "SENSITIVITY",
    `sensitivity of block ${block}: expected ${expected}, found ${found}`,
    "give other calibration text, or spread: uniform",
  );
}
