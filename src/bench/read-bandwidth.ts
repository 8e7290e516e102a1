import { loadNative, openEngine } from "../native/load.ts";
import type { ExecutorInfo } from "../runtime/executor-info.ts";

/** Far more than any cache holds. */
const READ_BYTES = 512 * 2 ** 20;

/**
 * Bytes a second at which this machine's memory is read by as many threads as the executor has; null without the addon,
 * which measures it. Needs half a gigabyte for a moment: take peak memory before.
 */
export async function readBandwidth({ isa, threads }: Pick<ExecutorInfo, "isa" | "threads">): Promise<number | null> {
  if (!loadNative().addon) return null;
  const engine = openEngine({ isa: isa ?? undefined, threads: threads ?? undefined });
  try {
    return await engine.readBandwidth(READ_BYTES);
  } finally {
    engine.dispose();
  }
}
