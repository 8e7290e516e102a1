import { z } from "zod";
import type { AttentionSpec, BlockSpec, DecoderSpec, LinearSpec, MlpSpec } from "../model/decoder-spec.ts";
import type { BlockRole } from "../model/matrix-id.ts";

const place = z.number().int().nonnegative();

/** What is left of a block: places in the uncut block, ascending. */
export const BlockCut = z.strictObject({
  /** Whether the attention is there, and the MLP. */
  attention: z.boolean(),
  mlp: z.boolean(),
  /** Key/value heads that are kept, each with the query heads that read it; null: all. */
  kvHeads: z.array(place).min(1).nullable(),
  /** Channels of the feed-forward part that are kept; null: all. */
  channels: z.array(place).min(1).nullable(),
});
export type BlockCut = z.infer<typeof BlockCut>;

/** A block of which nothing is taken. */
export const UNCUT: BlockCut = { attention: true, mlp: true, kvHeads: null, channels: null };

/** The spec of a block as cut. Without its attention a block keeps the norm that the MLP shares. */
export function cutBlock(block: BlockSpec, cut: BlockCut): BlockSpec {
  const attention = cut.attention && block.attention ? cutAttention(block.attention, cut) : null;
  const mlp = cut.mlp && block.mlp ? cutMlp(block.mlp, cut) : null;
  const none = { pre: null, post: null };
  const shares = block.residual === "parallel" && block.mlpNorms.pre === null && mlp !== null;
  return {
    ...block,
    attention,
    attentionNorms: attention ? block.attentionNorms : { ...none, pre: shares ? block.attentionNorms.pre : null },
    mlp,
    mlpNorms: mlp ? block.mlpNorms : none,
  };
}

/** Whether nothing of a block computes. */
export function isLeftOut({ attention, mlp }: BlockSpec): boolean {
  return attention === null && mlp === null;
}

/** The spec of a model as cut, a cut for each block. */
export function cutSpec(spec: DecoderSpec, cuts: readonly BlockCut[]): DecoderSpec {
  return { ...spec, blocks: spec.blocks.map((block, i) => cutBlock(block, cuts[i])) };
}

/** Rows, or columns, of a matrix that a cut keeps; null: all of them. */
export interface KeptPlaces {
  readonly rows: readonly number[] | null;
  readonly cols: readonly number[] | null;
}

/** What a cut keeps of the matrix of a role, which the block as cut still has. */
export function keptOf(role: BlockRole, { attention }: BlockSpec, cut: BlockCut): KeptPlaces {
  const whole = { rows: null, cols: null };
  if (role === "mlp.down") return { ...whole, cols: cut.channels };
  if (role === "mlp.gate" || role === "mlp.up") return { ...whole, rows: cut.channels };
  if (!attention || !cut.kvHeads) return whole;
  const { heads, kvHeads, headDim } = attention;
  if (role === "attn.k" || role === "attn.v") return { ...whole, rows: placesIn(cut.kvHeads, headDim) };
  const mixed = placesIn(cut.kvHeads, (heads / kvHeads) * headDim);
  return role === "attn.o" ? { ...whole, cols: mixed } : { ...whole, rows: mixed };
}

/** Places of the members of some groups of equal size. */
export function placesIn(groups: readonly number[], size: number): number[] {
  return groups.flatMap((group) => Array.from({ length: size }, (_, i) => group * size + i));
}

function cutAttention(attention: AttentionSpec, { kvHeads: kept }: BlockCut): AttentionSpec {
  if (!kept) return attention;
  const { heads, kvHeads, headDim } = attention;
  const left = (heads / kvHeads) * kept.length;
  const withRows = (linear: LinearSpec, count: number): LinearSpec => ({ ...linear, rows: count * headDim });
  return {
    ...attention,
    heads: left,
    kvHeads: kept.length,
    q: withRows(attention.q, left),
    k: withRows(attention.k, kept.length),
    v: withRows(attention.v, kept.length),
    o: { ...attention.o, cols: left * headDim },
  };
}

function cutMlp(mlp: MlpSpec, { channels }: BlockCut): MlpSpec {
  if (!channels) return mlp;
  const { length } = channels;
  return {
    ...mlp,
    gate: mlp.gate && { ...mlp.gate, rows: length },
    up: { ...mlp.up, rows: length },
    down: { ...mlp.down, cols: length },
  };
}
