/** How far one step moves what is learned. */
export interface StepRates {
  /** Of a weight's place, in codes. */
  readonly rounding: number;
  /** Of a scale, as a part of itself. */
  readonly scale: number;
  /** Of a norm's weight or a bias, as a part of the vector's root mean square. */
  readonly vector: number;
}
