import { Random } from "../../tensor/random.ts";

/** Which examples the steps take: all of them in a new order each time round, whatever was drawn before. */
export class Draws {
  private readonly examples: number;
  private readonly seed: number;
  private round = -1;
  private order: number[] = [];

  constructor(examples: number, seed: number) {
    this.examples = examples;
    this.seed = seed;
  }

  /** Number of the example that is drawn as the i-th, from 0. */
  at(i: number): number {
    const round = Math.floor(i / this.examples);
    if (round !== this.round) {
      this.round = round;
      const all = Array.from({ length: this.examples }, (_, example) => example);
      this.order = new Random(this.seed).fork(`round ${round}`).shuffle(all);
    }
    return this.order[i % this.examples];
  }
}
