import type { Codec } from "../codecs/codec.ts";
import type { NativeCodecForm } from "./addon.ts";

/** A codec as the addon wants it described. */
export function codecForm({ id, bits, group, scheme, scaleKind }: Codec): NativeCodecForm {
  const table = scheme === "table";
  const twoLevel = scaleKind === "two-level";
  const kind = scheme === "float" ? id : `q${bits}`;
  return { kind, asymmetric: scheme === "asymmetric", group: group ?? 0, table, twoLevel };
}
