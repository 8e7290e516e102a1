import type { Codec } from "../codecs/codec.ts";
import type { NativeCodecForm } from "./addon.ts";

/** A codec as the addon wants it described. */
export function codecForm({ id, bits, group, scheme }: Codec): NativeCodecForm {
  if (scheme === "float") return { kind: id, asymmetric: false, group: 0 };
  return { kind: `q${bits}`, asymmetric: scheme === "asymmetric", group: group ?? 0 };
}
