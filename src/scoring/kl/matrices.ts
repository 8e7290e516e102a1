import { CODECS, isCodecId } from "../../codecs/index.ts";
import { Random } from "../../tensor/random.ts";
import { matrixErrors } from "../matrix-errors.ts";
import { scoredUnits } from "../scored-units.ts";
import type { ScoreFigures, ScorerContext } from "../scorer.ts";
import type { Losses, Scores } from "../scores.ts";
import type { KlOptions } from "./options.ts";
import { predictionFit, predictLosses } from "./predict-losses.ts";
import type { VariantRun } from "./run.ts";
import { probedMatrices, spreadProbes } from "./spread-probes.ts";
import { kvVariants, listVariants, type Variant, withLoss } from "./variants.ts";

/** Widths at which a unit is measured where the recipe names no codecs. */
const PROBE_BITS = [3, 4];

/** What is measured of a model: the probes of its units, some more to judge the prediction by, and the KV types. */
interface Measurements {
  readonly probes: readonly Variant[];
  readonly judges: readonly Variant[];
  readonly kv: readonly Variant[];
  /** Every unit with all codecs that it needs a loss or an error for. */
  readonly wanted: readonly { readonly unit: string; readonly codecs: readonly string[] }[];
}

/**
 * Losses of every matrix at every candidate codec: measured at two probes (and wherever else was measured), else
 * predicted from these from error(matrix, codec), usually as alpha(matrix) x error. With `probeEvery` the probes of
 * most matrices are interpolated. `exhaustive` measures all.
 */
export async function scoreMatrices(
  context: ScorerContext,
  options: KlOptions,
  run: VariantRun,
): Promise<ScoreFigures> {
  const chosen = chooseMeasurements(context, options);
  const measured = await run.measure(inRunOrder([...chosen.kv, ...chosen.probes, ...chosen.judges]));
  const probes = chosen.probes.reduce<Losses>((all, one) => withLoss(all, one, measured[one.unit][one.codec]), {});
  const errors = options.exhaustive ? {} : await matrixErrors(context, chosen.wanted);
  const everywhere = spreadProbes(context.source.spec, probes, errors);
  const predicted = predictLosses({ probes: everywhere, errors, form: options.prediction });
  const losses: Losses = {};
  const details: NonNullable<Scores["details"]> = {};
  for (const { unit, codecs } of chosen.wanted) {
    losses[unit] = Object.fromEntries(
      codecs.map((codec) => [codec, Math.max(0, measured[unit]?.[codec] ?? predicted[unit][codec])]),
    );
    details[unit] = Object.fromEntries(
      codecs.map((codec) => [
        codec,
        figuresOf(errors[unit]?.[codec], predicted[unit]?.[codec], measured[unit]?.[codec]),
      ]),
    );
  }
  for (const { unit, codec } of chosen.kv) losses[unit] = { ...losses[unit], [codec]: measured[unit][codec] };
  const pairs = options.exhaustive
    ? []
    : chosen.judges.map(({ unit, codec }) => ({
        predicted: predicted[unit][codec],
        measured: measured[unit][codec],
      }));
  const fit = predictionFit(pairs);
  return { options: describeOptions(context, options, chosen), importance: null, losses, details, ...(fit && { fit }) };
}

function chooseMeasurements(context: ScorerContext, options: KlOptions): Measurements {
  const { source, codecs, embeddingCodecs } = context;
  const units = scoredUnits(source.spec, "matrix");
  const blockProbes = options.probes ?? probeCodecs(codecs);
  const common = options.probes?.filter((codec) => embeddingCodecs.includes(codec)) ?? [];
  const outerProbes = options.embeddingProbes ?? (common.length > 0 ? common : probeCodecs(embeddingCodecs));
  const probed = probedMatrices(source.spec, options.probeEvery);
  const probes = listVariants(units, blockProbes, outerProbes).filter(({ unit }) => probed.has(unit));
  const isProbe = new Set(probes.map(nameOf));
  const others = listVariants(units, codecs, embeddingCodecs).filter((one) => !isProbe.has(nameOf(one)));
  const random = new Random(options.fitSeed).fork("kl fit");
  const judges = options.exhaustive ? others : random.shuffle([...others]).slice(0, options.fitPairs);
  const wanted = units.map(({ unit, kind }) => ({
    unit,
    codecs: [...new Set(kind === "block" ? [...codecs, ...blockProbes] : [...embeddingCodecs, ...outerProbes])],
  }));
  return { probes, judges, kv: kvVariants(options.kv), wanted };
}

const nameOf = ({ unit, codec }: Variant) => `${unit} ${codec}`;

/** The two codecs nearest to 3 and to 4 bits, the first of equal ones; of codecs without known bits the last two. */
export function probeCodecs(codecs: readonly string[]): string[] {
  const known = codecs.flatMap((id) => (isCodecId(id) ? [{ id, bits: CODECS[id].bits }] : []));
  if (known.length < codecs.length) return codecs.slice(-2);
  const nearest = (left: typeof known, bits: number) =>
    left.reduce((best, one) => (Math.abs(one.bits - bits) < Math.abs(best.bits - bits) ? one : best));
  const chosen: string[] = [];
  for (const bits of PROBE_BITS) {
    const left = known.filter(({ id }) => !chosen.includes(id));
    if (left.length > 0) chosen.push(nearest(left, bits).id);
  }
  return chosen;
}

/** By block, as a run wants them; of one block as they come. */
function inRunOrder(variants: readonly Variant[]): Variant[] {
  return [...variants].sort((a, b) => a.block - b.block);
}

function figuresOf(error?: number, predicted?: number, measured?: number): Record<string, number> {
  const figures: [string, number | undefined][] = [
    ["error", error],
    ["predicted", predicted],
    ["measured", measured],
  ];
  return Object.fromEntries(figures.flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])));
}

function describeOptions(
  { codecs, embeddingCodecs }: ScorerContext,
  { unit, exhaustive, prediction, probeEvery, fitSeed, kv }: KlOptions,
  { probes, judges }: Measurements,
): Record<string, unknown> {
  const probesOf = (kind: Variant["kind"]) => [
    ...new Set(probes.filter((one) => (one.kind === "block") === (kind === "block")).map(({ codec }) => codec)),
  ];
  return {
    ...{ unit, codecs: [...codecs], embeddingCodecs: [...embeddingCodecs], exhaustive, kv: [...kv] },
    ...{ probes: probesOf("block"), embeddingProbes: probesOf("embedding") },
    ...(probeEvery > 1 && !exhaustive ? { probeEvery } : {}),
    ...(exhaustive ? {} : { prediction, fitPairs: judges.length, fitSeed }),
  };
}
