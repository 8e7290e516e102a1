import { UserError } from "../../errors.ts";
import { type ConfigReader, readConfig } from "../config-reader.ts";
import { type DecoderSpec, matricesOf } from "../decoder-spec.ts";
import type { ModelDescription } from "./architecture.ts";
import type { Family } from "./family.ts";
import { gemma3 } from "./gemma3.ts";
import { gptNeox } from "./gpt-neox.ts";
import { granite } from "./granite.ts";
import { llama } from "./llama.ts";
import { mistral } from "./mistral.ts";
import { olmo2 } from "./olmo2.ts";
import { phi } from "./phi.ts";
import { phi3 } from "./phi3.ts";
import { qwen2 } from "./qwen2.ts";
import { qwen3 } from "./qwen3.ts";
import { smollm3 } from "./smollm3.ts";
import { starcoder2 } from "./starcoder2.ts";
import { sourcesOf } from "./tensor-names.ts";
import { refuseUnsupported, unknownFields } from "./unsupported-fields.ts";

/** Most rows or columns of a matrix, which the native engine counts in 32 bits, and most elements. */
const [MAX_ROWS, MAX_ELEMENTS] = [2 ** 31 - 1, 2 ** 36];

/** Every family that can be read, by the `model_type` of its `config.json`. */
export const ARCHITECTURES = {
  llama,
  mistral,
  qwen2,
  qwen3,
  gpt_neox: gptNeox,
  phi,
  phi3,
  gemma3_text: gemma3,
  olmo2,
  smollm3,
  granite,
  starcoder2,
} as const satisfies Record<string, Family>;

/**
 * Turns a parsed `config.json` into a description; `label` is the checkpoint's folder, for messages.
 * Throws a UserError for an unknown family, an impossible value, or a field that would change the maths and is not
 * supported.
 */
export function describeModel(config: unknown, label: string): ModelDescription {
  return describe(readConfig(config, label));
}

/**
 * Fields of a `config.json` that describeModel accepts without knowing what they mean, sorted; `inspect` lists them.
 */
export function unknownConfigFields(config: unknown, label: string): string[] {
  const reader = readConfig(config, label);
  describe(reader);
  return unknownFields(reader);
}

function describe(config: ConfigReader): ModelDescription {
  const family = familyOf(config);
  refuseUnsupported(config, family.reads);
  const spec = family.describe(config);
  checkSizes(spec, config.label);
  return { spec, ...sourcesOf(spec, family.names(spec)), ignored: family.ignored };
}

/**
 * Where the parameters of a model would lie in a checkpoint, by its spec alone: for an artifact, which has no config.
 * Throws a UserError where its family is none of the table.
 */
export function sourcesOfSpec(spec: DecoderSpec, label: string): ModelDescription["sources"] {
  const family = familyOfType(spec.family);
  if (family) return sourcesOf(spec, family.names(spec)).sources;
  const types = Object.keys(ARCHITECTURES).join(", ");
  throw new UserError("CONFIG", `${label}: family: expected one of ${types}, found ${JSON.stringify(spec.family)}`);
}

function familyOfType(name: string): Family | undefined {
  return Object.entries(ARCHITECTURES).find(([type]) => type === name)?.[1];
}

/** Refuses sizes that are legal one by one and make a matrix of more elements than any file has. */
function checkSizes(spec: DecoderSpec, label: string): void {
  const large = matricesOf(spec).find(
    ({ rows, cols }) => Math.max(rows, cols) > MAX_ROWS || rows * cols > MAX_ELEMENTS,
  );
  if (!large) return;
  const found = `${large.id} of ${large.rows} × ${large.cols}`;
  throw new UserError("CONFIG", `${label}/config.json: expected matrices of at most 2^36 elements, found ${found}`);
}

function familyOf(config: ConfigReader): Family {
  const name = config.text("model_type");
  const family = familyOfType(name);
  if (!family) {
    return config.refuse(
      "model_type",
      `one of ${Object.keys(ARCHITECTURES).join(", ")}`,
      textPartHint(config) ?? "docs/adding-an-architecture.md says how to add a family.",
    );
  }
  const classes = config.raw("architectures");
  // A bare decoder is whole where its output head is the embedding.
  const bare = family.classes.map((name) => name.replace(/ForCausalLM$/, "Model"));
  const known: readonly unknown[] = [...family.classes, ...bare];
  if (classes !== undefined && !(Array.isArray(classes) && classes.length === 1 && known.includes(classes[0]))) {
    config.refuse(
      "architectures",
      JSON.stringify([family.classes[0]]),
      "Only models with a language model's output head can be run.",
    );
  }
  return family;
}

/** What to do with a model of text and more whose text part is of a known family; undefined where it has none. */
function textPartHint(config: ConfigReader): string | undefined {
  const text = config.raw("text_config") === undefined ? null : config.section("text_config");
  const name = text?.raw("model_type");
  if (typeof name !== "string" || !Object.hasOwn(ARCHITECTURES, name)) return undefined;
  return `It has a text part, "${name}", beside others: save that part as a checkpoint of its own.`;
}
