import { UserError } from "../errors.ts";
import type { Codec } from "./codec.ts";
import { bf16, f16, f32 } from "./float.ts";
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

/** What each of them comes in: columns that share a scale, and scales of f16 or (s8) of 8 bits under one a row. A new one is a line here. */
const SCALES = {
  g32: { group: 32, scaleKind: "f16" },
  g64: { group: 64, scaleKind: "f16" },
  g128: { group: 128, scaleKind: "f16" },
  row: { group: null, scaleKind: "f16" },
  "g32-s8": { group: 32, scaleKind: "two-level" },
  "g64-s8": { group: 64, scaleKind: "two-level" },
} as const satisfies Record<string, Pick<IntegerForm, "group" | "scaleKind">>;

/** Name of a codec: a float type, or family and scales, such as `q4t-g32-s8`. */
export type CodecId = "f32" | "f16" | "bf16" | `${keyof typeof FAMILIES}-${keyof typeof SCALES}`;

function everyCodec(): Readonly<Record<string, Codec>> {
  const codecs: Record<string, Codec> = { f32, f16, bf16 };
  for (const [family, [bits, scheme]] of Object.entries(FAMILIES)) {
    for (const [scales, form] of Object.entries(SCALES)) {
      const id = `${family}-${scales}`;
      codecs[id] = integerCodec(id, { bits, scheme, ...form });
    }
  }
  return codecs;
}

/** Whether there is a codec under every id; the type system cannot see that of a table filled by a loop. */
function isComplete(codecs: Readonly<Record<string, Codec>>): codecs is Readonly<Record<CodecId, Codec>> {
  return Object.keys(codecs).length === 3 + Object.keys(FAMILIES).length * Object.keys(SCALES).length;
}

function codecTable(): Readonly<Record<CodecId, Codec>> {
  const codecs = everyCodec();
  if (!isComplete(codecs)) throw new Error("codecs: some ids name no codec");
  return codecs;
}

/** Every codec under its id. */
export const CODECS = codecTable();

/** True for the id of a codec. */
export function isCodecId(id: string): id is CodecId {
  return Object.hasOwn(CODECS, id);
}

/** All names, in the table's order. */
export const CODEC_IDS: readonly CodecId[] = Object.keys(CODECS).filter(isCodecId);

/** The name as one of the table's. Throws UserError CODEC_UNKNOWN, with all names. */
export function codecIdOf(id: string): CodecId {
  if (isCodecId(id)) return id;
  throw new UserError(
    "CODEC_UNKNOWN",
    `codec: expected one of ${CODEC_IDS.join(", ")}; found "${id}"`,
    "use one of these names",
  );
}

/** The codec of that name. Throws UserError CODEC_UNKNOWN, with all names. */
export function codecOf(id: string): Codec {
  return CODECS[codecIdOf(id)];
}
