import { UserError } from "../errors.ts";
import { didYouMean } from "../near-names.ts";
import type { Codec, Kept } from "./codec.ts";
import { FLOAT_CODECS } from "./float.ts";
import { INTEGER_CODECS } from "./integer-codecs.ts";
import { SPARSE_CODECS } from "./sparse-codecs.ts";

/** Every codec under its id. A new kind of storage is a file of its own and a line here. */
export const CODECS = { ...FLOAT_CODECS, ...INTEGER_CODECS, ...SPARSE_CODECS } as const satisfies Readonly<
  Record<string, Codec>
>;

/** Name of a codec: a float type, or family, scales and what is stored, such as `q4t-g32-s8` and `q4s-g32-n16`. */
export type CodecId = keyof typeof CODECS;

/** True for the id of a codec. */
export function isCodecId(id: string): id is CodecId {
  return Object.hasOwn(CODECS, id);
}

/** All names, in the table's order. */
export const CODEC_IDS: readonly CodecId[] = Object.keys(CODECS).filter(isCodecId);

/** The name as one of the table's. Throws UserError CODEC_UNKNOWN, with names that are near. */
export function codecIdOf(id: string): CodecId {
  if (isCodecId(id)) return id;
  throw new UserError(
    "CODEC_UNKNOWN",
    `codec: expected a name such as ${CODEC_IDS.slice(0, 3).join(", ")}, found "${id}"`,
    didYouMean(id, CODEC_IDS, "docs/artifact-format.md has all names"),
  );
}

/** The codec of that name. Throws UserError CODEC_UNKNOWN. */
export function codecOf(id: string): Codec {
  return CODECS[codecIdOf(id)];
}

/** The sparse codec that stores what is kept as `id` stores all; undefined where there is none. */
export function sparseTwin(id: CodecId, kept: Kept): CodecId | undefined {
  const { bits, scheme, group, scaleKind } = CODECS[id];
  return CODEC_IDS.find((other) => {
    const codec: Codec = CODECS[other];
    const alike = codec.bits === bits && codec.scheme === scheme && codec.group === group;
    return alike && codec.scaleKind === scaleKind && codec.kept?.count === kept.count && codec.kept.of === kept.of;
  });
}
