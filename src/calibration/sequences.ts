import { createHash } from "node:crypto";
import type { Calibration, CalibrationSource } from "./calibration.ts";

/** A calibration set from token ids; its id is the sha256 of the lengths and ids, little-endian. */
export function calibrationFromSequences(
  sequences: readonly Int32Array[],
  sources: readonly CalibrationSource[] = [],
): Calibration {
  const hash = createHash("sha256");
  for (const sequence of sequences) {
    const bytes = Buffer.alloc(4 * (sequence.length + 1));
    bytes.writeUInt32LE(sequence.length, 0);
    sequence.forEach((id, i) => {
      bytes.writeInt32LE(id, 4 * (i + 1));
    });
    hash.update(bytes);
  }
  const tokens = sequences.reduce((sum, sequence) => sum + sequence.length, 0);
  return { sequences, tokens, id: hash.digest("hex"), sources };
}

/** The first sequences up to so many tokens; the last one is cut. */
export function limitTokens(sequences: readonly Int32Array[], tokens: number): Int32Array[] {
  const limited: Int32Array[] = [];
  let left = tokens;
  for (const sequence of sequences) {
    if (left <= 0) break;
    limited.push(sequence.length <= left ? sequence : sequence.slice(0, left));
    left -= sequence.length;
  }
  return limited;
}
