import type { Codec } from "./codec.ts";
import { integerCodec } from "./integer.ts";
import type { IntegerBits, IntegerForm, IntegerScheme } from "./integer-geometry.ts";

/** Bits and scheme (s symmetric, a asymmetric, t table) of the integer codecs. A new width is a line here. */
const FAMILIES = {
  q2s: [2, "symmetric"],
  q3s: [3, "symmetric"],
  q4s: [4, "symmetric"],
  q5s: [5, "symmetric"],
  q6s: [6, "symmetric"],
  q8s: [8, "symmetric"],
  q2a: [2, "asymmetric"],
  q3a: [3, "asymmetric"],
  q4a: [4, "asymmetric"],
  q5a: [5, "asymmetric"],
  q6a: [6, "asymmetric"],
  q8a: [8, "asymmetric"],
  q2t: [2, "table"],
  q3t: [3, "table"],
  q4t: [4, "table"],
  q5t: [5, "table"],
} as const satisfies Record<string, readonly [IntegerBits, IntegerScheme]>;

/**
 * What each of them comes in: columns that share a scale, and scales of f16 or (s8) of 8 bits under one a row. A new
 * one is a line here.
 */
const SCALES = {
  g32: { group: 32, scaleKind: "f16" },
  g64: { group: 64, scaleKind: "f16" },
  g128: { group: 128, scaleKind: "f16" },
  row: { group: null, scaleKind: "f16" },
  "g32-s8": { group: 32, scaleKind: "two-level" },
  "g64-s8": { group: 64, scaleKind: "two-level" },
} as const satisfies Record<string, Pick<IntegerForm, "group" | "scaleKind">>;

/** Family and scales, such as `q4t-g32-s8`. */
type IntegerCodecId = `${keyof typeof FAMILIES}-${keyof typeof SCALES}`;

/** Every family in all scales, under their ids. */
export const INTEGER_CODECS = integerCodecs();

function integerCodecs(): Readonly<Record<IntegerCodecId, Codec>> {
  const codecs: Partial<Record<IntegerCodecId, Codec>> = {};
  for (const family of keysOf(FAMILIES)) {
    const [bits, scheme] = FAMILIES[family];
    for (const scales of keysOf(SCALES)) {
      const id: IntegerCodecId = `${family}-${scales}`;
      codecs[id] = integerCodec(id, { bits, scheme, ...SCALES[scales], kept: null });
    }
  }
  if (!isComplete(codecs)) throw new Error("codecs: some ids name no codec");
  return codecs;
}

/** Whether there is a codec under every id; the type system cannot see that of a table filled by a loop. */
function isComplete(codecs: Partial<Record<IntegerCodecId, Codec>>): codecs is Readonly<Record<IntegerCodecId, Codec>> {
  return keysOf(FAMILIES).every((family) => keysOf(SCALES).every((scales) => `${family}-${scales}` in codecs));
}

/** Keys of a table that has no others than its type says. */
function keysOf<Key extends string>(table: Readonly<Record<Key, unknown>>): Key[] {
  return Object.keys(table).filter((key): key is Key => key in table);
}
