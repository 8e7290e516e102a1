import { type DecoderSpec, headMatrixId, linearsOf, vectorsOf } from "../model/decoder-spec.ts";
import { type KvType, kvVectorBytes } from "../model/kv-type.ts";
import { idOf } from "../model/matrix-id.ts";

/**
 * Bytes of weights that generating a token reads: every matrix of the blocks and the output head, once, and the norms
 * and biases. Of an embedding that is not the head one row is read, which is left out. `matrixBytes`: stored bytes by
 * id.
 */
export function weightBytesPerToken(spec: DecoderSpec, matrixBytes: ReadonlyMap<string, number>): number {
  const ids = spec.blocks.flatMap((block, i) => linearsOf(block).map(({ role }) => idOf(i, role)));
  const matrices = [...ids, headMatrixId(spec)].map((id) => {
    const bytes = matrixBytes.get(id);
    if (bytes === undefined) throw new Error(`no bytes for ${id}`);
    return bytes;
  });
  const vectors = vectorsOf(spec).map(({ length }) => 4 * length);
  return [...matrices, ...vectors].reduce((sum, bytes) => sum + bytes, 0);
}

/** Bytes of keys and values that a token reads as the last of `positions`; a sliding window bounds them. */
export function kvBytesPerToken(spec: DecoderSpec, kvType: KvType, positions: number): number {
  return spec.blocks.reduce((sum, { attention }) => {
    if (!attention) return sum;
    const { kvHeads, headDim, window } = attention;
    return sum + Math.min(positions, window ?? positions) * kvHeads * 2 * kvVectorBytes(kvType, headDim);
  }, 0);
}
