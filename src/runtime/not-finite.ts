import { UserError } from "../errors.ts";

const CODE = "LOGITS_NOT_FINITE";

/** What to do where the numbers of a block are not finite with keys and values in f32. */
export const TOO_LARGE = "the weights are damaged, or too large for f32: check them with `layerwise verify`";
/** Where nothing more is known. */
const HINT =
  "check the weights with `layerwise verify`; where it finds nothing, keys or values may be beyond f16: give --kv f32";

/**
 * The UserError LOGITS_NOT_FINITE: `of` says what numbers are not finite. Everything that looks at logits throws this
 * one, so that a damaged model or an overflow is never a bug of ours, nor a silent choice of tokens.
 */
export function notFinite(of: string, hint: string = HINT): UserError {
  return new UserError(CODE, `${of}: expected finite numbers, found NaN or infinity`, hint);
}

/** Whether an error is such a one. */
export function isNotFinite(error: unknown): boolean {
  return error instanceof UserError && error.code === CODE;
}
