/** Throws where there are not so many numbers. */
export function expectLength(label: string, numbers: Float32Array, expected: number): void {
  if (numbers.length !== expected) throw new Error(`${label}: expected ${expected} numbers, found ${numbers.length}`);
}
