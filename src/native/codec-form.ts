import type { Codec } from "../codecs/codec.ts";

/** The part of a codec that decides the layout. */
export interface NativeCodecForm {
  /** `f32`, `f16`, `bf16`, `q2` … `q8` */
  readonly kind: string;
  readonly asymmetric: boolean;
  /** Columns that share a scale; 0: a whole row, or a float kind. */
  readonly group: number;
  /** Codes of 2 to 5 bits that stand for the numbers of a table. */
  readonly table: boolean;
  /** Scales of 8 bits under one a row. */
  readonly twoLevel: boolean;
}

/** A codec as the addon wants it described. */
export function codecForm({ id, bits, group, scheme, scaleKind }: Codec): NativeCodecForm {
  const table = scheme === "table";
  const twoLevel = scaleKind === "two-level";
  const kind = scheme === "float" ? id : `q${bits}`;
  return { kind, asymmetric: scheme === "asymmetric", group: group ?? 0, table, twoLevel };
}
