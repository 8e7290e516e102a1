/** How far one step moves what is learned. */
export interface StepRates {
  /** Of a weight's place, in codes. */
  readonly rounding: number;
  /** Of a scale, as a part of itself. */
  readonly scale: number;
  /** Of a norm's weight or a bias, as a part of the vector's root mean square. */
  readonly vector: number;
}

/** How far an element may move from where it began, as a part of the vector's root mean square. */
const MOST_CHANGE = 0.1;

/** A norm's weight or a bias that is learned; it steps by the sign of its gradient. */
export class LatentVector {
  /** [length] */
  readonly values: Float32Array;
  private readonly first: Float32Array;
  private readonly unit: number;

  constructor(first: Float32Array) {
    this.first = first;
    this.values = first.slice();
    this.unit = Math.sqrt(first.reduce((sum, value) => sum + value * value, 0) / first.length);
  }

  /** One step against the gradient of the loss, [length]. */
  step(gradient: Float32Array, { vector }: StepRates): void {
    const { values, first, unit } = this;
    const reach = MOST_CHANGE * unit;
    for (let i = 0; i < values.length; i++) {
      const moved = values[i] - vector * unit * Math.sign(gradient[i]);
      values[i] = Math.min(first[i] + reach, Math.max(first[i] - reach, moved));
    }
  }
}
