import { UserError } from "../../errors.ts";

/** What to write, for messages. */
export const SIZE_HINT =
  'write a size such as "600 MiB", "1.5 GB" or "0.75 * 1 GiB - 64 MiB" (MB = 10^6, MiB = 2^20 bytes)';

/** Units of sizes that are one number with one unit. */
const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ["B", 1],
  ["kB", 1e3],
  ["MB", 1e6],
  ["GB", 1e9],
  ["KiB", 2 ** 10],
  ["MiB", 2 ** 20],
  ["GiB", 2 ** 30],
]);

/**
 * Bytes of a size that is one number with one unit ("600 MiB"), null for any other expression: these need mathjs
 * (size-expression.ts), which takes a third of a second to load. Throws UserError `BUDGET_VALUE` like it.
 */
export function plainBytes(expression: string): number | null {
  const [, number, unit] = /^\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*$/.exec(expression) ?? [];
  const unitBytes = UNIT_BYTES.get(unit);
  return unitBytes === undefined ? null : wholeBytes(Number(number) * unitBytes, expression.trim());
}

/**
 * A number of bytes as a whole one, fractions dropped. Throws UserError `BUDGET_VALUE` where it is none or too large.
 */
export function wholeBytes(value: number, text: string): number {
  if (!Number.isFinite(value) || value > Number.MAX_SAFE_INTEGER) {
    throw new UserError("BUDGET_VALUE", `size "${text}": expected a finite number of bytes, found ${value}`, SIZE_HINT);
  }
  const bytes = floorBytes(value);
  if (bytes > 0) return bytes;
  throw new UserError("BUDGET_VALUE", `size "${text}": expected more than 0 bytes, found ${bytes}`, SIZE_HINT);
}

/** Floors, but takes 289999999.99999994 for the 290000000 that "0.29 GB" means. */
function floorBytes(value: number): number {
  const nearest = Math.round(value);
  return Math.abs(value - nearest) <= 1e-12 * Math.abs(value) ? nearest : Math.floor(value);
}
