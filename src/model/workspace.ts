import type { AttentionSpec, BlockSpec, DecoderSpec, MlpSpec } from "./decoder-spec.ts";
import { linearsOf } from "./decoder-spec.ts";

/** Rows that pass through a block at a time: a longer prompt is cut, so that activations stay small. */
export const PROMPT_CHUNK_ROWS = 128;

/** Positions of one page of the KV cache. */
export const KV_PAGE_POSITIONS = 64;

/** Positions kept behind a sliding window, so that rejected drafts can be truncated. */
export const KV_WINDOW_SLACK = 64;

/** Bytes of one expanded tile of a packed matrix, in f32. */
export const EXPAND_BYTES = 2 * 1024 * 1024;

/** Bytes of the attention scores computed at a time; one row of all attention heads is the least. */
export const ATTENTION_SCORE_BYTES = 2 * 1024 * 1024;

/** Rows whose logits the sum provides for: a verification pass of a few drafted tokens. */
export const LOGIT_ROWS = 8;

const F32_BYTES = 4;
/** A tile is expanded by JavaScript into its own array, which the backend may copy. */
const EXPANDED_COPIES = 2;
/** Widened keys and values in JavaScript and in the backend. */
const WIDENED_COPIES = 2;
/** Hidden states alive at most: the block's input and output, one between, and the steps of a norm. */
const HIDDEN_TENSORS = 7;
/** Tensors of a block's queries, keys and values alive at most, while they are normed and rotated. */
const QKV_TENSORS = 6;
/** Tensors of the feed-forward width alive at most: gate, up, and the steps of an activation. */
const FFN_TENSORS = 6;
/** Scores of all attention heads alive at most: as they come, reshaped, and with the mask. */
const SCORE_TENSORS = 3;
/** The mask, which all attention heads share, in JavaScript and in the backend. */
const MASK_COPIES = 2;

export interface WorkspaceOptions {
  /** Positions that one sequence may reach. */
  readonly contextTokens: number;
  /** `packed` expands matrices a tile at a time, `resident` none, `streamed` holds one block in f32. */
  readonly residency: "packed" | "resident" | "streamed";
}

/**
 * Bytes that a run of one sequence needs beside weights and KV cache: expanded weights, activations of a chunk, logits.
 */
export function workspaceBytes(spec: DecoderSpec, options: WorkspaceOptions): number {
  const rows = Math.min(PROMPT_CHUNK_ROWS, options.contextTokens);
  const largest = (of: (block: BlockSpec) => number) =>
    spec.blocks.reduce((most, block) => Math.max(most, of(block)), 0);
  const hidden = HIDDEN_TENSORS * rows * spec.hiddenSize * F32_BYTES;
  const branch = largest((block) =>
    Math.max(attentionBytes(block.attention, rows, options.contextTokens), mlpBytes(block.mlp, rows)),
  );
  const logits = 2 * LOGIT_ROWS * spec.vocabSize * F32_BYTES;
  return weightBytes(spec, options.residency) + hidden + Math.max(branch, logits);
}

/** Weights in f32 at one time. */
function weightBytes(spec: DecoderSpec, residency: WorkspaceOptions["residency"]): number {
  const headTile = Math.min(EXPAND_BYTES, spec.vocabSize * spec.hiddenSize * F32_BYTES);
  if (residency === "resident") return 0;
  const sizes = spec.blocks.map((block) => linearsOf(block).map(({ linear }) => linear.rows * linear.cols * F32_BYTES));
  if (residency === "packed") {
    const tile = sizes.flat().reduce((most, bytes) => Math.max(most, Math.min(EXPAND_BYTES, bytes)), headTile);
    return EXPANDED_COPIES * tile;
  }
  const largestBlock = sizes.reduce(
    (most, block) =>
      Math.max(
        most,
        block.reduce((sum, bytes) => sum + bytes, 0),
      ),
    0,
  );
  const largestMatrix = sizes.flat().reduce((most, bytes) => Math.max(most, bytes), headTile);
  return largestBlock + EXPANDED_COPIES * largestMatrix;
}

function attentionBytes(attention: AttentionSpec | null, rows: number, contextTokens: number): number {
  if (!attention) return 0;
  const { heads, kvHeads, headDim } = attention;
  const projected = QKV_TENSORS * rows * (heads + 2 * kvHeads) * headDim * F32_BYTES;
  const widened = WIDENED_COPIES * 2 * kvHeads * headDim * contextTokens * F32_BYTES;
  const scoreRows = attentionRows(heads, contextTokens, rows);
  return projected + widened + (SCORE_TENSORS * heads + MASK_COPIES) * scoreRows * contextTokens * F32_BYTES;
}

function mlpBytes(mlp: MlpSpec | null, rows: number): number {
  return mlp ? FFN_TENSORS * rows * mlp.up.rows * F32_BYTES : 0;
}

/** Rows whose attention scores over `keys` positions fit ATTENTION_SCORE_BYTES: 1 … `rows`. */
export function attentionRows(heads: number, keys: number, rows: number): number {
  return Math.max(1, Math.min(rows, Math.floor(ATTENTION_SCORE_BYTES / (heads * keys * F32_BYTES))));
}
