import { type ConfigReader, MAX_COUNT } from "../config-reader.ts";
import type { RopeSpec } from "../decoder-spec.ts";

/**
 * Base of the rotary frequencies where a config of the old form names none (transformers' default for every family).
 */
const DEFAULT_THETA = 10000;

/** How a family reads its rotary embedding. */
export interface RopeFields {
  /** Channels of an attention head. */
  readonly headDim: number;
  readonly maxPositions: number;
  /** Fraction of the head that rotates where the config names none; null where the family rotates whole heads only. */
  readonly partial: number | null;
  /** Family's own older names of `rope_theta` and `partial_rotary_factor`. */
  readonly thetaAlias?: string;
  /** Base where the config names none; absent: 10,000, as for most families. */
  readonly defaultTheta?: number;
  readonly partialAlias?: string;
}

/** The rotary embedding, from `rope_parameters` (transformers 5) or `rope_theta` and `rope_scaling` (before). */
export function readRope(config: ConfigReader, fields: RopeFields): RopeSpec {
  const parameters = config.section("rope_parameters");
  const legacy = config.section("rope_scaling");
  refuseForeign(parameters);
  refuseForeign(legacy);
  const dims = rotaryDims(config, parameters, fields);
  const theta = agreeing(config, parameters, ["rope_theta", fields.thetaAlias]) ?? fields.defaultTheta ?? DEFAULT_THETA;
  const scaling = readScaling(config, parameters ?? legacy, dims, fields.maxPositions);
  if (parameters && legacy) {
    const older = readScaling(config, legacy, dims, fields.maxPositions);
    if (JSON.stringify(older) !== JSON.stringify(scaling)) config.refuse("rope_scaling", "what rope_parameters says");
  }
  return rotation(config, { dims, theta, scaling });
}

/** The embedding; refuses a base that yarn, which counts turns by its logarithm, cannot do with. */
function rotation(config: ConfigReader, rope: RopeSpec): RopeSpec {
  if (rope.scaling.kind === "yarn" && rope.theta <= 1) config.refuse("rope_theta", "a number above 1, for yarn");
  return rope;
}

/** The rotary embeddings of blocks that attend to everything and of blocks with a window (Gemma 3). */
export interface RopesByType {
  readonly full: RopeSpec;
  readonly sliding: RopeSpec;
}

/**
 * Both embeddings, of whole heads: from `rope_parameters` by layer type (transformers 5), or from `rope_theta`,
 * `rope_scaling` and, for blocks with a window, `rope_local_base_freq`, which is never scaled (before).
 */
export function readRopesByType(config: ConfigReader, fields: RopeFields): RopesByType {
  const parameters = config.section("rope_parameters");
  const of = (type: string): RopeSpec | null => {
    const section = parameters?.section(type);
    if (!section) return null;
    refuseForeign(section);
    const scaling = readScaling(config, section, fields.headDim, fields.maxPositions);
    return rotation(section, { dims: fields.headDim, theta: section.positive("rope_theta"), scaling });
  };
  const full = of("full_attention");
  const sliding = of("sliding_attention");
  if (full && sliding) return { full, sliding };
  if (full || sliding) config.refuse("rope_parameters", "both full_attention and sliding_attention, or neither");
  const theta = config.positive("rope_local_base_freq", DEFAULT_THETA);
  return { full: readRope(config, fields), sliding: { dims: fields.headDim, theta, scaling: { kind: "none" } } };
}

function rotaryDims(config: ConfigReader, parameters: ConfigReader | null, fields: RopeFields): number {
  const given = agreeing(config, parameters, ["partial_rotary_factor", fields.partialAlias]);
  const fraction = given ?? fields.partial ?? 1;
  const holder = parameters?.raw("partial_rotary_factor") !== undefined ? parameters : config;
  const key =
    fields.partialAlias && config.raw(fields.partialAlias) !== undefined
      ? fields.partialAlias
      : "partial_rotary_factor";
  if (fields.partial === null && fraction !== 1) holder.refuse(key, "1 (this family rotates whole heads)");
  const dims = Math.trunc(fields.headDim * fraction);
  if (fraction > 1 || dims < 2 || dims % 2 !== 0) {
    holder.refuse(key, `a fraction that makes an even number of the ${fields.headDim} channels of a head rotate`);
  }
  return dims;
}

/** One number that may stand in several places; places that disagree are refused. */
function agreeing(
  config: ConfigReader,
  parameters: ConfigReader | null,
  names: readonly (string | undefined)[],
  read: "positive" | "count" = "positive",
): number | null {
  let found: number | null = null;
  for (const reader of [parameters, config]) {
    for (const name of names) {
      if (!reader || !name || reader.raw(name) === undefined) continue;
      const value = reader[read](name);
      if (found !== null && value !== found) reader.refuse(name, `${found}, as the config says elsewhere`);
      found = value;
    }
  }
  return found;
}

/** Positions that the model had before its rotary embedding was scaled; null where the config does not say. */
function originalPositions(config: ConfigReader, scaling: ConfigReader): number | null {
  return agreeing(config, scaling, ["original_max_position_embeddings"], "count");
}

function readScaling(
  config: ConfigReader,
  scaling: ConfigReader | null,
  dims: number,
  maxPositions: number,
): RopeSpec["scaling"] {
  if (!scaling) return { kind: "none" };
  const key = scaling.raw("rope_type") !== undefined ? "rope_type" : "type";
  const kind = scaling.raw(key) === undefined ? "default" : scaling.text(key);
  const older = scaling.raw("type");
  if (older !== undefined && older !== kind && older !== "su") scaling.refuse("type", `"${kind}", as rope_type says`);
  if (kind === "default") return { kind: "none" };
  if (kind === "linear") return { kind: "linear", factor: scaling.positive("factor") };
  if (kind === "llama3") return readLlama3(config, scaling, maxPositions);
  if (kind === "longrope" || kind === "su") return readLongrope(config, scaling, dims, maxPositions);
  if (kind === "yarn") return readYarn(config, scaling, maxPositions);
  if (kind === "dynamic") return readDynamic(config, scaling, maxPositions);
  return scaling.refuse(key, "default, linear, dynamic, llama3, yarn or longrope (not supported)");
}

function readLlama3(config: ConfigReader, scaling: ConfigReader, maxPositions: number): RopeSpec["scaling"] {
  const lowFreqFactor = scaling.positive("low_freq_factor");
  const highFreqFactor = scaling.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor)
    scaling.refuse("high_freq_factor", `a number above low_freq_factor ${lowFreqFactor}`);
  return {
    kind: "llama3",
    factor: scaling.positive("factor"),
    lowFreqFactor,
    highFreqFactor,
    originalMaxPositions: originalPositions(config, scaling) ?? maxPositions,
  };
}

/**
 * YaRN (arXiv 2309.00071) with transformers' defaults. The attention factor is 0.1 ln(factor) + 1 unless the config
 * gives it, or `mscale` and `mscale_all_dim` (DeepSeek): then the quotient of what the two give.
 */
function readYarn(config: ConfigReader, scaling: ConfigReader, maxPositions: number): RopeSpec["scaling"] {
  const original = originalPositions(config, scaling) ?? maxPositions;
  const factor = scaling.positive("factor", maxPositions / original);
  if (original * factor > MAX_COUNT) scaling.refuse("factor", `one that reaches at most ${MAX_COUNT} positions`);
  const [betaFast, betaSlow] = [orDefault(scaling, "beta_fast", 32), orDefault(scaling, "beta_slow", 1)];
  if (betaFast < betaSlow) scaling.refuse("beta_fast", `at least beta_slow ${betaSlow}`);
  const [mscale, all] = [orDefault(scaling, "mscale", null), orDefault(scaling, "mscale_all_dim", null)];
  const attention = (scale: number) => (factor <= 1 ? 1 : 0.1 * scale * Math.log(factor) + 1);
  const derived = mscale !== null && all !== null ? attention(mscale) / attention(all) : attention(1);
  return {
    ...{ kind: "yarn", factor, betaFast, betaSlow, truncate: scaling.flag("truncate", true) },
    ...{ originalMaxPositions: original, attentionFactor: scaling.positive("attention_factor", derived) },
  };
}

/** A number for which 0, too, means that it is left out. */
function orDefault<T>(scaling: ConfigReader, key: string, fallback: T): number | T {
  return scaling.raw(key) === 0 || scaling.raw(key) === undefined ? fallback : scaling.positive(key);
}

/** Dynamic NTK scaling: what a sequence longer than max_position_embeddings would have turn more slowly. */
function readDynamic(config: ConfigReader, scaling: ConfigReader, maxPositions: number): RopeSpec["scaling"] {
  const original = originalPositions(config, scaling) ?? maxPositions;
  if (original !== maxPositions) scaling.refuse("original_max_position_embeddings", `${maxPositions}, the positions`);
  return { kind: "dynamic", factor: scaling.positive("factor") };
}

/** LongRoPE (arXiv 2402.13753) as Phi-3 uses it: attention factor sqrt(1 + ln(max / original) / ln(original)). */
function readLongrope(
  config: ConfigReader,
  scaling: ConfigReader,
  dims: number,
  maxPositions: number,
): RopeSpec["scaling"] {
  const original = originalPositions(config, scaling);
  if (original === null || original < 2) {
    return config.refuse("original_max_position_embeddings", "an integer from 2 up, for longrope");
  }
  const stretch = maxPositions / original;
  const factor = scaling.raw("factor") === undefined ? stretch : scaling.positive("factor");
  if (Math.abs(factor / stretch - 1) > 1e-6) scaling.refuse("factor", `${stretch} = max / original positions`);
  const derived = stretch <= 1 ? 1 : Math.sqrt(1 + Math.log(stretch) / Math.log(original));
  return {
    kind: "longrope",
    shortFactor: factorList(scaling, "short_factor", dims),
    longFactor: factorList(scaling, "long_factor", dims),
    originalMaxPositions: original,
    attentionFactor: scaling.positive("attention_factor", derived),
  };
}

function factorList(scaling: ConfigReader, key: string, dims: number): number[] {
  const factors = scaling.positives(key);
  if (factors.length !== dims / 2) scaling.refuse(key, `${dims / 2} numbers, one for each rotated pair`);
  return factors;
}

/** Parameters of kinds of scaling that are not implemented, refused whatever the kind says. */
function refuseForeign(scaling: ConfigReader | null): void {
  if (!scaling) return;
  for (const key of ["mrope_section", "short_mscale", "long_mscale", "full_attention", "sliding_attention"]) {
    if (scaling.raw(key) !== undefined) scaling.refuse(key, "none (not supported)");
  }
}
