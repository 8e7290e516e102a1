import { type DecoderSpec, matricesOf } from "../../model/decoder-spec.ts";
import { KV_TYPES, type KvType } from "../../model/kv-type.ts";
import { blockName } from "../../model/matrix-id.ts";
import type { Losses } from "../scores.ts";

/** The model with one unit at one codec, all else as it is. */
export interface Variant {
  /** `embedding`, `blocks.<i>` or a matrix of it, `head`, or `kv`. */
  readonly unit: string;
  /** Of `kv` the type of the cache. */
  readonly codec: string;
  readonly kind: "embedding" | "block" | "head" | "kv";
  /** The first block that it runs: a block's variant its own, the embedding's and the cache's block 0, the head's none (blocks.length). */
  readonly block: number;
}

/** A unit, before a codec is chosen for it. */
export type ScoredUnit = Pick<Variant, "unit" | "kind" | "block">;

/** What losses are measured of, in order of `block`: embedding (with a tied head), every block or each of its matrices, head. */
export function scoredUnits(spec: DecoderSpec, grain: "block" | "matrix"): ScoredUnit[] {
  const blocks = spec.blocks.map((_, block): ScoredUnit => ({ unit: blockName(block), kind: "block", block }));
  const matrices = matricesOf(spec).flatMap(({ id, block }): ScoredUnit[] =>
    block === null ? [] : [{ unit: id, kind: "block", block }],
  );
  const embedding: ScoredUnit = { unit: "embedding", kind: "embedding", block: 0 };
  const head: ScoredUnit = { unit: "head", kind: "head", block: spec.blocks.length };
  return [embedding, ...(grain === "block" ? blocks : matrices), ...(spec.tied ? [] : [head])];
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

/** Consecutive variants in groups of at most so many whose hidden states fit into the bytes together; at least one a group. */
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
