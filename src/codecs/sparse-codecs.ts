import type { Codec, Kept } from "./codec.ts";
import { integerCodec } from "./integer.ts";
import type { IntegerBits } from "./integer-geometry.ts";

/** Bits of the levels that are stored; symmetric, since the others are 0. A new width is a line here. */
const FAMILIES = { q3s: 3, q4s: 4, q8s: 8 } as const satisfies Record<string, IntegerBits>;

/** What is stored: so many of every 32 columns of a row (multiples of 8), or n of every m. A new one is a line here. */
const PATTERNS = {
  n8: { count: 8, of: 32 },
  n16: { count: 16, of: 32 },
  n24: { count: 24, of: 32 },
  "2of4": { count: 2, of: 4 },
} as const satisfies Record<string, Kept>;

type Family = keyof typeof FAMILIES;
type Pattern = keyof typeof PATTERNS;

/** A sparse codec of f16 scales and groups of 32, such as `q4s-g32-n16`. */
function sparseCodec<F extends Family, P extends Pattern>(family: F, pattern: P): Codec {
  const form = { bits: FAMILIES[family], group: 32, scheme: "symmetric", scaleKind: "f16" } as const;
  return integerCodec(`${family}-g32-${pattern}`, { ...form, kept: PATTERNS[pattern] });
}

/** Every width in every pattern, under their ids. */
export const SPARSE_CODECS = {
  "q3s-g32-n8": sparseCodec("q3s", "n8"),
  "q3s-g32-n16": sparseCodec("q3s", "n16"),
  "q3s-g32-n24": sparseCodec("q3s", "n24"),
  "q3s-g32-2of4": sparseCodec("q3s", "2of4"),
  "q4s-g32-n8": sparseCodec("q4s", "n8"),
  "q4s-g32-n16": sparseCodec("q4s", "n16"),
  "q4s-g32-n24": sparseCodec("q4s", "n24"),
  "q4s-g32-2of4": sparseCodec("q4s", "2of4"),
  "q8s-g32-n8": sparseCodec("q8s", "n8"),
  "q8s-g32-n16": sparseCodec("q8s", "n16"),
  "q8s-g32-n24": sparseCodec("q8s", "n24"),
  "q8s-g32-2of4": sparseCodec("q8s", "2of4"),
} as const satisfies Readonly<Record<`${Family}-g32-${Pattern}`, Codec>>;
