import { z } from "zod";
import { CODECS, type CodecId } from "../../codecs/index.ts";
import type { MatrixInfo } from "../../model/decoder-spec.ts";

/**
 * How long a token may take in the products with packed matrices, and what a matrix costs: its bytes over the bandwidth
 * that the bench has measured, and a constant.
 */
export const LatencySettings = z.strictObject({
  msPerToken: z.number().positive(),
  gigabytesPerSecond: z.number().positive(),
  /** Instead of it, for codecs of so many bits: narrow ones cost more arithmetic a byte. */
  gigabytesPerSecondAt: z.record(z.string().regex(/^\d+$/), z.number().positive()).default({}),
  msPerMatrix: z.number().nonnegative().default(0),
});
export type LatencySettings = z.infer<typeof LatencySettings>;

/**
 * Milliseconds a token that a matrix costs at a codec; of an embedding that is not the head too a single row is read:
 * nothing.
 */
export function matrixMs(matrix: MatrixInfo, codec: CodecId, tied: boolean, latency: LatencySettings): number {
  if (matrix.role === "embedding" && !tied) return 0;
  const { bits } = CODECS[codec];
  const bandwidth = latency.gigabytesPerSecondAt[String(bits)] ?? latency.gigabytesPerSecond;
  return CODECS[codec].packedBytes(matrix.rows, matrix.cols) / (bandwidth * 1e6) + latency.msPerMatrix;
}
