import type { GuardResult, Provenance } from "../../artifact/manifest.ts";
import type { Plan } from "../../artifact/plan.ts";
import type { CodecCost } from "../../pipeline/packing.ts";
import { shortBytes } from "../../size-text.ts";
import { formatCount, formatDuration, formatNumber } from "./number-text.ts";

/**
 * What was predicted of what a guard measured, by the shipped plan; null where that is the loss beside the model as
 * pruned: the plan had not chosen what to prune.
 */
export function guardPrediction(plan: Plan, pruned: Provenance["pruning"] | null): number | null {
  return pruned && !plan.pruning ? null : plan.predictedLoss;
}

/**
 * The plan beside the best uniform plan (and one that prunes beside the best that does not) on held-out text, and which
 * of them ships; how far what was predicted of that one ({@link guardPrediction}) was from what was measured: one line
 * each.
 */
export function guardText(guard: GuardResult, predictedLoss: number | null): string {
  const shipped = guard.ships === "plan" ? guard.plan : guard[guard.ships]?.divergence;
  if (predictedLoss === null || !shipped) return comparisonText(guard);
  return `${comparisonText(guard)}\n${predictionText(predictedLoss, shipped.mean)}`;
}

const SHIPS: Readonly<Record<GuardResult["ships"], string>> = {
  plan: "the plan ships",
  uniform: "the uniform plan ships instead of the plan",
  whole: "the plan without pruning ships instead of the plan",
};

function comparisonText({ tokens, plan, uniform, whole, ships }: GuardResult): string {
  const nats = ({ mean, meanError }: GuardResult["plan"]) => `${formatNumber(mean)} ± ${formatNumber(meanError)}`;
  const own = `guard: KL divergence ${nats(plan)} nats on ${formatCount(tokens)} held-out tokens`;
  const even =
    uniform &&
    `the best uniform plan (${uniform.codec}, ${shortBytes(uniform.totalBytes)}) has ${nats(uniform.divergence)}`;
  const bits = whole && `the best plan without pruning (${shortBytes(whole.totalBytes)}) has ${nats(whole.divergence)}`;
  const rivals = [even, bits].flatMap((rival) => rival ?? []);
  if (rivals.length === 0) return `${own}; no uniform plan takes as few bytes`;
  return `${own}; ${rivals.join("; ")}: ${SHIPS[ships]}`;
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
