/** The parts one after the other, in a new array. */
export function joinedInt32(parts: readonly Int32Array[]): Int32Array {
  return filled(new Int32Array(lengthOf(parts)), parts);
}

/** The parts one after the other, in a new array. */
export function joinedFloat32(parts: readonly Float32Array[]): Float32Array {
  return filled(new Float32Array(lengthOf(parts)), parts);
}

function lengthOf(parts: readonly { readonly length: number }[]): number {
  return parts.reduce((sum, { length }) => sum + length, 0);
}

function filled<T extends Int32Array | Float32Array>(whole: T, parts: readonly T[]): T {
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
