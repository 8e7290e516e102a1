import path from "node:path";
import { z } from "zod";
import { UserError } from "../../errors.ts";
import { parseWith, readJsonFile } from "../../formats/files.ts";
import { MAX_RANK } from "../low-rank.ts";

/** Files of a PEFT adapter's folder. */
export const CONFIG_NAME = "adapter_config.json";
export const WEIGHTS_NAME = "adapter_model.safetensors";

const rank = z.number().int().positive().max(MAX_RANK);

/** What of an adapter's config says what its numbers mean. */
const Settings = z.object({
  base_model_name_or_path: z.string().nullish(),
  r: rank,
  lora_alpha: z.number(),
  /** Where ranks and alphas differ: by a module's path, or its end. */
  rank_pattern: z.record(z.string(), rank).nullish(),
  alpha_pattern: z.record(z.string(), z.number()).nullish(),
  use_rslora: z.boolean().nullish(),
});

/** Values of a field that change nothing. */
type Allowed = readonly unknown[] | "any";

/**
 * Fields of which more is allowed than to be off. What says how an adapter was trained, or which modules: the file's
 * tensors do. `fan_in_fan_out` is for weights that lie transposed, which no linear layer's do.
 */
const ALLOWED: Readonly<Record<string, Allowed>> = {
  ...Object.fromEntries(Object.keys(Settings.shape).map((field): [string, Allowed] => [field, "any"])),
  peft_type: ["LORA"],
  task_type: ["CAUSAL_LM", "FEATURE_EXTRACTION"],
  bias: ["none"],
  // Others (pissa, olora, corda, loftq, lora_ga) change the base model's own weights as they begin.
  init_lora_weights: [true, "gaussian", "eva", "orthogonal"],
  ...Object.fromEntries(
    [
      ...["auto_mapping", "revision", "peft_version", "inference_mode", "target_modules", "exclude_modules"],
      ...[
        "layers_to_transform",
        "layers_pattern",
        "lora_dropout",
        "fan_in_fan_out",
        "megatron_core",
        "megatron_config",
      ],
      ...["runtime_config", "loftq_config", "eva_config", "qalora_group_size", "ensure_weight_tying"],
    ].map((field): [string, Allowed] => [field, "any"]),
  ),
};

/** A config understood. */
export interface LoraConfig {
  /** The base model as the adapter names it. */
  readonly base: string | null;
  /** Rank and factor on B A of a module, by its path in the model. */
  of(module: string): { readonly rank: number; readonly factor: number };
}

/**
 * Reads a folder's `adapter_config.json`. Throws UserError where it is another kind of adapter than LoRA, or a field is
 * on that would change the maths and is not supported: any that is neither read here nor known to mean nothing.
 */
export async function readLoraConfig(folder: string): Promise<LoraConfig> {
  const label = path.join(folder, CONFIG_NAME);
  const fields = await readJsonFile(label, z.record(z.string(), z.unknown()));
  if (fields.peft_type === undefined) throw unsupported(label, "peft_type", ["LORA"], undefined);
  for (const [field, value] of Object.entries(fields)) {
    const allowed = ALLOWED[field] ?? [];
    if (allowed !== "any" && !allowed.includes(value) && !isOff(value)) throw unsupported(label, field, allowed, value);
  }
  const settings = parseWith(Settings, fields, label);
  const ranks = patternsOf(settings.rank_pattern, `${label}: rank_pattern`);
  const alphas = patternsOf(settings.alpha_pattern, `${label}: alpha_pattern`);
  return {
    base: settings.base_model_name_or_path ?? null,
    of(module) {
      const rank = ranks(module) ?? settings.r;
      const alpha = alphas(module) ?? settings.lora_alpha;
      return { rank, factor: settings.use_rslora ? alpha / Math.sqrt(rank) : alpha / rank };
    },
  };
}

function isOff(value: unknown): boolean {
  if (typeof value === "object" && value !== null) return Object.keys(value).length === 0;
  return !value;
}

function unsupported(label: string, field: string, allowed: readonly unknown[], value: unknown): UserError {
  const expected = allowed.length > 0 ? allowed.map((one) => JSON.stringify(one)).join(", ") : "none";
  const found = value === undefined ? "none" : JSON.stringify(value).slice(0, 100);
  return new UserError(
    "ADAPTER",
    `${label}: ${field}: expected ${expected}, found ${found} (not supported)`,
    "merge the adapter into its base model (PEFT: merge_and_unload) and take that",
  );
}

/** PEFT's patterns are regular expressions; those that are no more than a module's path or its end are read. */
const PLAIN_PATTERN = /^\^?(\w|\\?\.)+$/;

/** What the first pattern that a module's path ends with gives; undefined where none does. */
function patternsOf(
  patterns: Readonly<Record<string, number>> | null | undefined,
  label: string,
): (module: string) => number | undefined {
  const plain = Object.entries(patterns ?? {}).map(([pattern, value]) => {
    if (!PLAIN_PATTERN.test(pattern)) {
      const found = `found the pattern ${JSON.stringify(pattern).slice(0, 100)} (not supported)`;
      throw new UserError("ADAPTER", `${label}: expected paths of modules, ${found}`, "write the paths out");
    }
    return { whole: pattern.startsWith("^"), module: pattern.replace("^", "").replaceAll("\\.", "."), value };
  });
  return (path) => plain.find(({ whole, module }) => path === module || (!whole && path.endsWith(`.${module}`)))?.value;
}
