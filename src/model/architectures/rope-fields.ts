import type { ConfigReader } from "../config-reader.ts";
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
  return { dims, theta, scaling };
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
    return { dims: fields.headDim, theta: section.positive("rope_theta"), scaling };
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
): number | null {
  let found: number | null = null;
  for (const reader of [parameters, config]) {
    for (const name of names) {
      if (!reader || !name || reader.raw(name) === undefined) continue;
      const value = reader.positive(name);
      if (found !== null && value !== found) reader.refuse(name, `${found}, as the config says elsewhere`);
      found = value;
    }
  }
  return found;
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
  if (kind === "llama3") return readLlama3(scaling);
  if (kind === "longrope" || kind === "su") return readLongrope(config, scaling, dims, maxPositions);
  return scaling.refuse(key, "default, linear, llama3 or longrope (not supported)");
}

function readLlama3(scaling: ConfigReader): RopeSpec["scaling"] {
  const lowFreqFactor = scaling.positive("low_freq_factor");
  const highFreqFactor = scaling.positive("high_freq_factor");
  if (highFreqFactor <= lowFreqFactor)
    scaling.refuse("high_freq_factor", `a number above low_freq_factor ${lowFreqFactor}`);
  return {
    kind: "llama3",
    factor: scaling.positive("factor"),
    lowFreqFactor,
    highFreqFactor,
    originalMaxPositions: scaling.count("original_max_position_embeddings"),
  };
}

/** LongRoPE (arXiv 2402.13753) as Phi-3 uses it: attention factor sqrt(1 + ln(max / original) / ln(original)). */
function readLongrope(
  config: ConfigReader,
  scaling: ConfigReader,
  dims: number,
  maxPositions: number,
): RopeSpec["scaling"] {
  const original = agreeing(config, scaling, ["original_max_position_embeddings"]);
  if (original === null || !Number.isInteger(original)) {
    return config.refuse("original_max_position_embeddings", "a positive integer, for longrope");
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
