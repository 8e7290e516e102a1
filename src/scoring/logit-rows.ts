/** Bytes of logits that a scorer holds at a time; larger chunks read a streamed output head less often. */
export const LOGIT_BYTES = 64 * 1024 * 1024;

/** Rows of logits, [rows, vocabSize] in f32, that fit into the bytes; at least one. */
export function rowsOfLogits(vocabSize: number, bytes: number): number {
  return Math.max(1, Math.floor(bytes / (4 * vocabSize)));
}
