import { KV_TYPES, type KvType } from "../../model/kv-type.ts";
import type { ScoredUnit } from "../scored-units.ts";
import type { Losses } from "../scores.ts";

/** The model with one unit at one codec, all else as it is; or, as unit `kv`, with its keys and values in a type. */
export interface Variant extends Omit<ScoredUnit, "kind"> {
  /** Of `kv` the type of the cache. */
  readonly codec: string;
  readonly kind: ScoredUnit["kind"] | "kv";
}

/** The units at each of their codecs; embedding and head have theirs. */
export function listVariants(
  units: readonly ScoredUnit[],
  codecs: readonly string[],
  embeddingCodecs: readonly string[],
): Variant[] {
  return units.flatMap((unit) =>
    (unit.kind === "block" ? codecs : embeddingCodecs).map((codec): Variant => ({ ...unit, codec })),
  );
}

/** The model with its keys and values kept in each of the types. */
export function kvVariants(types: readonly KvType[]): Variant[] {
  return KV_TYPES.filter((type) => types.includes(type)).map((codec) => ({ unit: "kv", codec, kind: "kv", block: 0 }));
}

/**
 * Consecutive variants in groups of at most so many whose hidden states fit into the bytes together; at least one a
 * group.
 */
export function groupVariants(
  variants: readonly Variant[],
  stateBytes: number,
  limits: { readonly maxVariants: number; readonly maxVariantBytes: number },
): Variant[][] {
  const perGroup = Math.max(1, Math.min(limits.maxVariants, Math.floor(limits.maxVariantBytes / stateBytes)));
  const groups: Variant[][] = [];
  for (let from = 0; from < variants.length; from += perGroup) groups.push(variants.slice(from, from + perGroup));
  return groups;
}

/** `losses` and one more, as a new object. */
export function withLoss(losses: Losses, { unit, codec }: Variant, loss: number): Losses {
  return { ...losses, [unit]: { ...losses[unit], [codec]: loss } };
}
