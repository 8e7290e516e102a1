/** A reusable array: made as long as the longest request so far, so that a token loop allocates nothing. */
export class GrowingArray {
  private data = new Float32Array(0);

  /** The first `length` elements; what an earlier call gave is overwritten. */
  take(length: number): Float32Array {
    if (this.data.length < length) this.data = new Float32Array(Math.max(length, Math.ceil(this.data.length * 1.5)));
    return this.data.subarray(0, length);
  }
}
