import { expect } from "vitest";

/** What JavaScript may pass where TypeScript promises something else. */
export type Loose = Record<string, unknown>;

/** A value as whatever the compiler wants there: these tests break every promise of the types on purpose. */
// biome-ignore lint/suspicious/noExplicitAny: see above.
export const loose = (value: unknown): any => value;

/** A copy of an object with some fields changed. */
export const changed = (value: object, fields: Loose) => loose({ ...value, ...fields });

/** An array whose buffer was moved away. */
export function detached<T extends Float32Array | Int32Array | Uint8Array | Float64Array>(array: T): T {
  structuredClone(array.buffer, { transfer: [loose(array.buffer)] });
  return array;
}

export const resizable = (bytes: number): ArrayBuffer => new (loose(ArrayBuffer))(bytes, { maxByteLength: 2 * bytes });

/** Refused at once or by the promise, by an error that names what is wrong; `what` tells one call of a list. */
export async function expectRefused(call: () => unknown, message: RegExp, what = ""): Promise<void> {
  const failure = await Promise.resolve()
    .then(call)
    .then(
      () => null,
      (error: unknown) => error,
    );
  expect(failure, `${what}: expected a refusal like ${message}`).toBeInstanceOf(Error);
  expect([TypeError, RangeError, Error]).toContain(loose(failure).constructor);
  expect(loose(failure).message).toMatch(message);
}

/** Numbers that are no sizes. */
export const BAD_SIZES = [-1, 1.5, Number.NaN, Infinity, 2 ** 31, 2 ** 53, 1e300, "4", null, undefined, {}, 4n];
