import { z } from "zod";
import { CODEC_IDS, CODECS, type CodecId, isCodecId } from "../../codecs/index.ts";
import { didYouMean } from "../../near-names.ts";

/** Widths that some codec has, ascending. */
const WIDTHS: readonly number[] = [...new Set(CODEC_IDS.map((id) => CODECS[id].bits))].sort((a, b) => a - b);

const BITS = /^(\d+)(?: ?bits?)?$/;

/** Bits of a choice written as a width ("8", "8 bits"); null where it names a codec. */
export function widthOf(choice: string): number | null {
  const match = BITS.exec(choice);
  return match ? Number(match[1]) : null;
}

/** Why a text is no codec and no width, or null where it is one. */
export function choiceFault(choice: string): string | null {
  const bits = widthOf(choice);
  if (bits !== null) return WIDTHS.includes(bits) ? null : `expected one of ${WIDTHS.join(", ")} bits`;
  if (isCodecId(choice)) return null;
  return `expected a codec or a width such as "8 bits" (${didYouMean(choice, CODEC_IDS, "e.g. q8s-g32 or q4a-g64")})`;
}

/**
 * A codec by id ("q4s-g32") or by width ("8 bits", 16). 16 is the float type that the checkpoint stores (bf16, f16);
 * other widths are the codec of that width among the recipe's `codecs`, else the symmetric one with groups of 32.
 */
export const CodecChoice = z
  .union([z.string(), z.number()])
  .transform((value) => String(value).trim())
  .superRefine((choice, context) => {
    const fault = choiceFault(choice);
    if (fault) context.addIssue({ code: "custom", message: fault });
  });
export type CodecChoice = z.infer<typeof CodecChoice>;

/** The 16-bit codec for weights stored as `storedDtype` (BF16, F16, F32, …): their own type where it has 16 bits. */
export function float16For(storedDtype: string): CodecId {
  return storedDtype.toLowerCase() === "bf16" ? "bf16" : "f16";
}

/** The codec that a choice stands for; `preferred` are looked through first when it is a width. */
export function resolveChoice(choice: string, storedDtype: string, preferred: readonly CodecId[] = []): CodecId {
  if (isCodecId(choice)) return choice;
  const bits = widthOf(choice);
  if (bits === null) throw new Error(`not a codec choice: ${choice}`);
  return codecOfWidth(bits, storedDtype, preferred);
}

/** The codec of exactly `bits`: see {@link CodecChoice}. */
export function codecOfWidth(bits: number, storedDtype: string, preferred: readonly CodecId[]): CodecId {
  const own = preferred.find((id) => CODECS[id].bits === bits);
  if (own) return own;
  if (bits === 16) return float16For(storedDtype);
  const others = CODEC_IDS.filter((id) => CODECS[id].bits === bits);
  const usual = others.find((id) => CODECS[id].scheme === "symmetric" && CODECS[id].group === 32) ?? others[0];
  if (!usual) throw new Error(`no codec of ${bits} bits`);
  return usual;
}

/** The narrowest width that a codec has and that is at least `bits`, or the widest of at most `bits`. */
export function nearestWidth(bits: number, direction: "atLeast" | "atMost"): number | undefined {
  return direction === "atLeast" ? WIDTHS.find((w) => w >= bits) : WIDTHS.findLast((w) => w <= bits);
}
