import { UserError } from "../errors.ts";
import type { Codec } from "./codec.ts";
import { bf16, f16, f32 } from "./float.ts";
import { integerCodec } from "./integer.ts";

/** Every codec under its id: bits, scheme (s symmetric, a asymmetric), group. A new one is a line here. */
export const CODECS = {
  f32,
  f16,
  bf16,
  "q2s-g32": integerCodec(2, 32, "symmetric"),
  "q2s-g64": integerCodec(2, 64, "symmetric"),
  "q2s-g128": integerCodec(2, 128, "symmetric"),
  "q2s-row": integerCodec(2, null, "symmetric"),
  "q3s-g32": integerCodec(3, 32, "symmetric"),
  "q3s-g64": integerCodec(3, 64, "symmetric"),
  "q3s-g128": integerCodec(3, 128, "symmetric"),
  "q3s-row": integerCodec(3, null, "symmetric"),
  "q4s-g32": integerCodec(4, 32, "symmetric"),
  "q4s-g64": integerCodec(4, 64, "symmetric"),
  "q4s-g128": integerCodec(4, 128, "symmetric"),
  "q4s-row": integerCodec(4, null, "symmetric"),
  "q5s-g32": integerCodec(5, 32, "symmetric"),
  "q5s-g64": integerCodec(5, 64, "symmetric"),
  "q5s-g128": integerCodec(5, 128, "symmetric"),
  "q5s-row": integerCodec(5, null, "symmetric"),
  "q6s-g32": integerCodec(6, 32, "symmetric"),
  "q6s-g64": integerCodec(6, 64, "symmetric"),
  "q6s-g128": integerCodec(6, 128, "symmetric"),
  "q6s-row": integerCodec(6, null, "symmetric"),
  "q8s-g32": integerCodec(8, 32, "symmetric"),
  "q8s-g64": integerCodec(8, 64, "symmetric"),
  "q8s-g128": integerCodec(8, 128, "symmetric"),
  "q8s-row": integerCodec(8, null, "symmetric"),
  "q2a-g32": integerCodec(2, 32, "asymmetric"),
  "q2a-g64": integerCodec(2, 64, "asymmetric"),
  "q2a-g128": integerCodec(2, 128, "asymmetric"),
  "q2a-row": integerCodec(2, null, "asymmetric"),
  "q3a-g32": integerCodec(3, 32, "asymmetric"),
  "q3a-g64": integerCodec(3, 64, "asymmetric"),
  "q3a-g128": integerCodec(3, 128, "asymmetric"),
  "q3a-row": integerCodec(3, null, "asymmetric"),
  "q4a-g32": integerCodec(4, 32, "asymmetric"),
  "q4a-g64": integerCodec(4, 64, "asymmetric"),
  "q4a-g128": integerCodec(4, 128, "asymmetric"),
  "q4a-row": integerCodec(4, null, "asymmetric"),
  "q5a-g32": integerCodec(5, 32, "asymmetric"),
  "q5a-g64": integerCodec(5, 64, "asymmetric"),
  "q5a-g128": integerCodec(5, 128, "asymmetric"),
  "q5a-row": integerCodec(5, null, "asymmetric"),
  "q6a-g32": integerCodec(6, 32, "asymmetric"),
  "q6a-g64": integerCodec(6, 64, "asymmetric"),
  "q6a-g128": integerCodec(6, 128, "asymmetric"),
  "q6a-row": integerCodec(6, null, "asymmetric"),
  "q8a-g32": integerCodec(8, 32, "asymmetric"),
  "q8a-g64": integerCodec(8, 64, "asymmetric"),
  "q8a-g128": integerCodec(8, 128, "asymmetric"),
  "q8a-row": integerCodec(8, null, "asymmetric"),
} as const satisfies Record<string, Codec>;

export type CodecId = keyof typeof CODECS;

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
