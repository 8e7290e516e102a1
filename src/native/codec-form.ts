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
  /** Sparse: of every `keptOf` columns `keptCount` are stored; 0 and 0: all. */
  readonly keptCount: number;
  readonly keptOf: number;
}

/** A codec as the addon wants it described. */
export function codecForm({ id, bits, group, scheme, scaleKind, kept }: Codec): NativeCodecForm {
  return {
    kind: scheme === "float" ? id : `q${bits}`,
    asymmetric: scheme === "asymmetric",
    group: group ?? 0,
    table: scheme === "table",
    twoLevel: scaleKind === "two-level",
    keptCount: kept?.count ?? 0,
    keptOf: kept?.of ?? 0,
  };
}
