/** Ids in order of falling score without sorting them all: a binary heap; equal scores give the lower id first. */
export class CandidateHeap {
  private ids = new Int32Array(0);
  private scores: Float32Array = new Float32Array(0);
  private count = 0;

  /**
   * Takes in every index of `scores`, [vocabSize]; what was left from before is dropped. `scores` must not change
   * meanwhile.
   */
  fill(scores: Float32Array): void {
    if (this.ids.length !== scores.length) this.ids = new Int32Array(scores.length);
    this.scores = scores;
    this.count = scores.length;
    for (let i = 0; i < this.count; i++) this.ids[i] = i;
    for (let i = (this.count >> 1) - 1; i >= 0; i--) this.sink(i);
  }

  get length(): number {
    return this.count;
  }

  /** Removes and returns the id with the highest score. */
  pop(): number {
    if (this.count === 0) throw new Error("CandidateHeap.pop: empty");
    const top = this.ids[0];
    this.count--;
    this.ids[0] = this.ids[this.count];
    this.sink(0);
    return top;
  }

  private before(a: number, b: number): boolean {
    return this.scores[a] > this.scores[b] || (this.scores[a] === this.scores[b] && a < b);
  }

  private sink(start: number): void {
    const { ids, count } = this;
    const id = ids[start];
    let at = start;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= count) break;
      if (child + 1 < count && this.before(ids[child + 1], ids[child])) child++;
      if (!this.before(ids[child], id)) break;
      ids[at] = ids[child];
      at = child;
    }
    ids[at] = id;
  }
}
