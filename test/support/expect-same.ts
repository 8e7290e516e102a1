import { isDeepStrictEqual } from "node:util";
import { expect } from "vitest";

/**
 * `toEqual` for large arrays of numbers: vitest looks at one number after the other, which takes most of a test's time,
 * so it is asked only where Node.js finds a difference.
 */
export function expectSame<T>(found: T, expected: T): void {
  if (!isDeepStrictEqual(found, expected)) expect(found).toEqual(expected);
}
