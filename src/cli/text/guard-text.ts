import type { GuardResult } from "../../artifact/manifest.ts";
import type { CodecCost } from "../../pipeline/packing.ts";
import { shortBytes } from "../../size-text.ts";
import { formatCount, formatDuration, formatNumber } from "./number-text.ts";

/** The plan beside the best uniform plan on held-out text, and which of them ships: one line. */
export function guardText({ tokens, plan, uniform, ships }: GuardResult): string {
  const nats = ({ mean, meanError }: GuardResult["plan"]) => `${formatNumber(mean)} ± ${formatNumber(meanError)}`;
  const own = `guard: KL divergence ${nats(plan)} nats on ${formatCount(tokens)} held-out tokens`;
  if (!uniform) return `${own}; no uniform plan takes as few bytes`;
  const rival = `the best uniform plan (${uniform.codec}, ${shortBytes(uniform.totalBytes)}) has ${nats(uniform.divergence)}`;
  return `${own}; ${rival}: ${ships === "plan" ? "the plan ships" : "the uniform plan ships instead of the plan"}`;
}

/** What a codec costs a library of packed matrices: one line. */
export function codecCostText({ codec, matrices, seconds, bytes }: CodecCost): string {
  return `${codec}: ${matrices} ${matrices === 1 ? "matrix" : "matrices"} packed in ${formatDuration(1000 * seconds)}, ${shortBytes(bytes)} on disk`;
}
