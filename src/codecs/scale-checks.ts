import { f16ToF32, f32ToF16, roundToBf16 } from "../tensor/half.ts";
import { checkLength } from "./tile.ts";
import { scaleCodeFor } from "./two-level.ts";

/**
 * Throws a RangeError unless f16 holds every number: codes chosen under another scale would have minimised the wrong
 * error.
 */
export function checkHalves(what: string, numbers: Float32Array): void {
  for (const x of numbers) {
    if (!Number.isFinite(x) || f16ToF32(f32ToF16(x)) !== x)
      throw new RangeError(`${what}: ${x} is no finite f16 number`);
  }
}

/**
 * Throws a RangeError unless every row's number is a finite bf16 one, and every number [rows, groups] a whole multiple
 * of its row's, -127-fold to 127-fold.
 */
export function checkTwoLevel(
  what: string,
  numbers: Float32Array,
  rowNumbers: Float32Array,
  rows: number,
  groups: number,
): void {
  checkLength(`${what} of rows`, rowNumbers.length, rows);
  for (let row = 0; row < rows; row++) {
    const unit = rowNumbers[row];
    if (!Number.isFinite(unit) || roundToBf16(unit) !== unit) {
      throw new RangeError(`${what} of rows: ${unit} is no finite bf16 number`);
    }
    for (let i = row * groups; i < (row + 1) * groups; i++) {
      if (!Number.isFinite(numbers[i]) || scaleCodeFor(numbers[i], unit) * unit !== numbers[i]) {
        throw new RangeError(`${what}: ${numbers[i]} is no multiple, up to 127-fold, of the row's ${unit}`);
      }
    }
  }
}
