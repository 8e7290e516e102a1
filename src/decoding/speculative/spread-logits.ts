/**
 * Makes a function from the logits of an exit head, [its ids, and the tail], to logits over the whole vocabulary, [vocabSize]: -Infinity
 * for what the head cannot say; the tail is left out. The result is overwritten by the next call.
 */
export function createSpread(ids: Int32Array | null, vocabSize: number): (headLogits: Float32Array) => Float32Array {
  const all = new Float32Array(vocabSize).fill(Number.NEGATIVE_INFINITY);
  return (headLogits) => {
    if (ids === null) return headLogits.length === vocabSize ? headLogits : headLogits.subarray(0, vocabSize);
    for (let i = 0; i < ids.length; i++) all[ids[i]] = headLogits[i];
    return all;
  };
}
