/** Whether all numbers are finite. One that is not makes the sum NaN: no branch an element. */
export function allFinite(x: Float32Array): boolean {
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += x[i] * 0;
  return sum === 0;
}
