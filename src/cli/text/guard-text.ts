import type { GuardResult } from "../../artifact/manifest.ts";
import type { CodecCost } from "../../pipeline/packing.ts";
import { shortBytes } from "../../size-text.ts";
import { formatCount, formatDuration, formatNumber } from "./number-text.ts";

/**
 * The plan beside the best uniform plan on held-out text, and which of them ships; how far what was predicted of that
 * one was from what was measured, where it was predicted (`predictedLoss`, of the shipped plan): one line each.
 */
export function guardText(guard: GuardResult, predictedLoss: number | null): string {
  const shipped = guard.ships === "plan" ? guard.plan : guard.uniform?.divergence;
  if (predictedLoss === null || !shipped) return comparisonText(guard);
  return `${comparisonText(guard)}\n${predictionText(predictedLoss, shipped.mean)}`;
}

function comparisonText({ tokens, plan, uniform, ships }: GuardResult): string {
  const nats = ({ mean, meanError }: GuardResult["plan"]) => `${formatNumber(mean)} ± ${formatNumber(meanError)}`;
  const own = `guard: KL divergence ${nats(plan)} nats on ${formatCount(tokens)} held-out tokens`;
  if (!uniform) return `${own}; no uniform plan takes as few bytes`;
  const rival = `the best uniform plan (${uniform.codec}, ${shortBytes(uniform.totalBytes)}) has ${nats(uniform.divergence)}`;
  return `${own}; ${rival}: ${ships === "plan" ? "the plan ships" : "the uniform plan ships instead of the plan"}`;
}

/** The scores are of the weights, in f32; the guard runs the model as a device does. */
function predictionText(predicted: number, measured: number): string {
  const times = predicted > 0 ? ` (${(measured / predicted).toFixed(1)} times as much)` : "";
  const figures = `${formatNumber(predicted)} nats predicted, ${formatNumber(measured)} measured${times}`;
  return `prediction: ${figures}: it is of the weights alone, activations in 8 bits and the KV type add to it`;
}

/** What a codec costs a library of packed matrices: one line. */
export function codecCostText({ codec, matrices, seconds, bytes }: CodecCost): string {
  return `${codec}: ${matrices} ${matrices === 1 ? "matrix" : "matrices"} packed in ${formatDuration(1000 * seconds)}, ${shortBytes(bytes)} on disk`;
}
