/** Roles of a block's matrices, in execution order: the one list from which types, ids and the addon's roles come. */
export const ROLES = ["attn.q", "attn.k", "attn.v", "attn.o", "mlp.gate", "mlp.up", "mlp.down"] as const;
export type BlockRole = (typeof ROLES)[number];
/** `embedding` and `head` stand outside the blocks. */
export type Role = "embedding" | "head" | BlockRole;

/** Norms of a block, in the order in which files have them. */
export const NORM_PARTS = [
  "attn.norm",
  "attn.qNorm",
  "attn.kNorm",
  "attn.postNorm",
  "mlp.norm",
  "mlp.postNorm",
] as const;
export type NormPart = (typeof NORM_PARTS)[number];

/** What of a block has parameters: a matrix, with or without a bias, or a norm. */
export type BlockPart = BlockRole | NormPart;

const NAME = "blocks";
const OF_BLOCK = new RegExp(`^${NAME}\\.(\\d+)(?:\\.(.+))?$`, "s");

/** Name of a block as a whole: `blocks.<i>`. */
export function blockName(block: number): string {
  return `${NAME}.${block}`;
}

/** Id of something in a block: a matrix by its role, or a vector by its part and `.weight` or `.bias`. */
export function idOf(block: number, part: string): string {
  return `${blockName(block)}.${part}`;
}

/** Block and rest of an id that idOf makes; null for what stands outside the blocks (and for a block's own name). */
export function partsOf(id: string): { readonly block: number; readonly part: string } | null {
  const [, block, part] = OF_BLOCK.exec(id) ?? [];
  return part === undefined ? null : { block: Number(block), part };
}

/** Number of the block that a name or id belongs to; null for what stands outside the blocks. */
export function blockOf(name: string): number | null {
  const [, block] = OF_BLOCK.exec(name) ?? [];
  return block === undefined ? null : Number(block);
}

/** The half of a block that a role, a part or the rest of an id belongs to. */
export function halfOf(part: string): "attn" | "mlp" {
  return part.startsWith("attn.") ? "attn" : "mlp";
}

/** Whether an id is a unit's own, or that of a part of it: `blocks.3` has `blocks.3.mlp.down`. */
export function isInUnit(id: string, unit: string): boolean {
  return id === unit || id.startsWith(`${unit}.`);
}
