import { expect } from "vitest";
import type { Maths } from "../../src/maths/maths.ts";
import { nativeMaths } from "../../src/maths/native.ts";
import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import { engineOf, ISAS } from "../native/engines.ts";

/** One implementation of Maths, as tests are run over it. */
export interface NamedMaths {
  readonly name: string;
  readonly maths: Maths;
}

const fastest = ISAS[ISAS.length - 1];
const native = (isa: string, threads = 1): NamedMaths => ({
  name: `native, ${isa}, threads: ${threads}`,
  maths: nativeMaths(engineOf(isa, threads)),
});

/** The plain one. */
const PLAIN: NamedMaths = { name: "plain", maths: plainMaths };
/** On every table that runs here, and on the fastest with two and three threads; none without the addon. */
export const NATIVES: readonly NamedMaths[] =
  ISAS.length === 0 ? [] : [...ISAS.map((isa) => native(isa)), native(fastest, 2), native(fastest, 3)];
export const ALL_MATHS: readonly NamedMaths[] = [PLAIN, ...NATIVES];

type Numbers = Float32Array | Float64Array | Uint8Array | Int32Array;

const bytesOf = (x: Numbers) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength);

/** Runs on each implementation, demands the same bits of all, and returns them. */
export async function sameOnAll<T extends Numbers>(
  run: (maths: Maths) => Promise<T>,
  all: readonly NamedMaths[] = ALL_MATHS,
): Promise<T> {
  const results = await Promise.all(all.map(({ maths }) => run(maths)));
  for (const [i, result] of results.entries()) {
    const same = Buffer.compare(bytesOf(result), bytesOf(results[0])) === 0;
    if (!same) expect.fail(`${all[i].name}: other bits than ${all[0].name}`);
  }
  return results[0];
}
