import type { DecoderSpec } from "../model/decoder-spec.ts";
import type { Losses } from "./scores.ts";

/** The model with one unit at one codec, all else as it is. */
export interface Variant {
  /** `embedding`, `blocks.<i>` or `head`. */
  readonly unit: string;
  readonly codec: string;
  readonly kind: "embedding" | "block" | "head";
  /** The first block that it runs: a block's variant its own, the embedding's block 0, the head's none (blocks.length). */
  readonly block: number;
}

/** Every variant that is not saved yet, in order of `block`: embedding (with a tied head), blocks, head. */
export function listVariants(
  spec: DecoderSpec,
  codecs: readonly string[],
  embeddingCodecs: readonly string[],
  saved: Losses = {},
): Variant[] {
  const total = spec.blocks.length;
  const blocks = spec.blocks.flatMap((_, block) =>
    codecs.map((codec): Variant => ({ unit: `blocks.${block}`, codec, kind: "block", block })),
  );
  const embedding = embeddingCodecs.map(
    (codec): Variant => ({ unit: "embedding", codec, kind: "embedding", block: 0 }),
  );
  const head = embeddingCodecs.map((codec): Variant => ({ unit: "head", codec, kind: "head", block: total }));
  const all = [...embedding, ...blocks, ...(spec.tied ? [] : head)];
  return all.filter(({ unit, codec }) => saved[unit]?.[codec] === undefined);
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
