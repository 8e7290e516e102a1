import { rankCorrelation } from "../../evaluation/rank-correlation.ts";
import { quantiles } from "../../evaluation/statistics.ts";
import type { Losses, PredictionFit } from "../scores.ts";

/** One unit at one codec. */
export interface MeasuredPair {
  readonly predicted: number;
  readonly measured: number;
}

/** How a loss follows from an error. */
export const PREDICTIONS = ["proportional", "curve"] as const;
type PredictionForm = (typeof PREDICTIONS)[number];

/**
 * Beyond the probe with the largest error the loss grows with the error to this power at most, and at least to the
 * inverse.
 */
const STEEPEST = 1.5;

/** What a prediction is made of: measured losses of some codecs of a unit, errors of all. */
export interface PredictionInputs {
  readonly probes: Losses;
  readonly errors: Losses;
  /** Default: proportional. */
  readonly form?: PredictionForm | undefined;
}

/** A probe: error and loss of one codec, both above zero. */
interface Probe {
  readonly error: number;
  readonly loss: number;
}

/**
 * Loss of every unit at every codec that it has an error for. `proportional`: alpha(unit) x error, alpha the geometric
 * mean of loss / error over the unit's probes, so that both count alike however far apart their losses are. `curve`:
 * through every probe, a straight line in logarithms from one to the next, proportional below the first. Without a
 * probe above zero every loss is 0.
 */
export function predictLosses({ probes, errors, form = "proportional" }: PredictionInputs): Losses {
  return Object.fromEntries(
    Object.entries(errors).map(([unit, byCodec]) => {
      const own = probesOf(probes[unit] ?? {}, byCodec);
      const lossAt = form === "curve" ? curveThrough(own) : proportionalTo(own);
      return [unit, Object.fromEntries(Object.entries(byCodec).map(([codec, error]) => [codec, lossAt(error)]))];
    }),
  );
}

/** By rising error. */
function probesOf(losses: Readonly<Record<string, number>>, errors: Readonly<Record<string, number>>): Probe[] {
  const probes = Object.entries(losses).map(([codec, loss]) => ({ loss, error: errors[codec] ?? 0 }));
  return probes.filter(({ loss, error }) => loss > 0 && error > 0).sort((a, b) => a.error - b.error);
}

function proportionalTo(probes: readonly Probe[]): (error: number) => number {
  if (probes.length === 0) return () => 0;
  const logs = probes.map(({ loss, error }) => Math.log(loss / error));
  const alpha = Math.exp(logs.reduce((sum, log) => sum + log, 0) / logs.length);
  return (error) => alpha * error;
}

function curveThrough(probes: readonly Probe[]): (error: number) => number {
  if (probes.length < 2) return proportionalTo(probes);
  return (error) => {
    const [first] = probes;
    if (error <= first.error) return (first.loss * error) / first.error;
    const next = probes.findIndex((probe) => probe.error >= error);
    const to = next < 0 ? probes.length - 1 : next;
    const [low, high] = [probes[to - 1], probes[to]];
    const slope = Math.log(high.loss / low.loss) / Math.log(high.error / low.error);
    if (next >= 0) return low.loss * (error / low.error) ** slope;
    const power = Number.isFinite(slope) ? Math.min(STEEPEST, Math.max(1 / STEEPEST, slope)) : 1;
    return high.loss * (error / high.error) ** power;
  };
}

/** The fit over pairs of which both sides are above zero; null without at least two. */
export function predictionFit(pairs: readonly MeasuredPair[]): PredictionFit | null {
  const used = pairs.filter(({ predicted, measured }) => predicted > 0 && measured > 0);
  if (used.length < 2) return null;
  const ratios = Float64Array.from(used, ({ predicted, measured }) => predicted / measured);
  const correlation = rankCorrelation(
    used.map(({ predicted }) => predicted),
    used.map(({ measured }) => measured),
  );
  const factors = ratios.map((ratio) => Math.max(ratio, 1 / ratio));
  return {
    pairs: used.length,
    rankCorrelation: Number.isFinite(correlation) ? correlation : null,
    medianRatio: quantiles(ratios, [0.5])[0],
    factor90: quantiles(factors, [0.9])[0],
  };
}
