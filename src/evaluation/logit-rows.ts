/**
 * Bytes of logits that are held at a time. A streamed or packed output head is read and expanded for every chunk, which
 * on SmolLM2-135M costs as much as 150 rows of its product: 64 rows a chunk would take more than twice the time of 340.
 */
export const LOGIT_BYTES = 64 * 1024 * 1024;

/** Rows of logits, [rows, vocabSize] in f32, that fit into the bytes; at least one. */
export function rowsOfLogits(vocabSize: number, bytes: number): number {
  return Math.max(1, Math.floor(bytes / (4 * vocabSize)));
}
