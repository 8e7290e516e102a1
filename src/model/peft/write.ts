import path from "node:path";
import { UserError } from "../../errors.ts";
import { listFolder, removeFile, writeFileAtomic } from "../../formats/files.ts";
import { makeFolders } from "../../formats/make-folders.ts";
import { layoutSafetensors, type SafetensorsEntry, writeSafetensors } from "../../formats/safetensors/index.ts";
import type { DecoderSpec } from "../decoder-spec.ts";
import { checkAdapter, type LowRankPart } from "../low-rank.ts";
import { CONFIG_NAME, WEIGHTS_NAME } from "./config.ts";
import { joinParts, type ModuleFactors } from "./join-parts.ts";
import { type Module, modulesOf } from "./modules.ts";
import { MODULE_PREFIX } from "./read.ts";

export interface WrittenPeft {
  /** The base model, as other tools are to find it: a name or a folder; null where it has none. */
  readonly base: string | null;
}

type Addition = ModuleFactors & { readonly module: Module };

/**
 * Writes additions to a model's matrices as a PEFT adapter's folder, in place of an adapter that is there. Read again
 * they are the same; of parts of one fused tensor (GPT-NeoX' query_key_value, Phi-3's qkv_proj and gate_up_proj), whose
 * factors must be equal, too. The config, without which there is no adapter, comes last.
 * Throws UserError OUTPUT_EXISTS where the folder holds something else, and `FILE_*` or `DISK_FULL`.
 */
export async function writePeftAdapter(
  folder: string,
  spec: DecoderSpec,
  parts: readonly LowRankPart[],
  { base }: WrittenPeft,
): Promise<void> {
  checkAdapter(spec, folder, parts);
  const modules = [...new Set(modulesOf(spec, folder).values())];
  const additions = modules.flatMap((module): Addition[] => {
    const own = parts.filter(({ block, role }) => block === module.block && rolesOf(module).includes(role));
    return own.length > 0 ? [{ module, ...joinParts(module, own) }] : [];
  });
  await makeRoom(folder);
  const tensors = additions.flatMap(({ module, rank, a, b }) => [
    { entry: tensorOf(module, "A", [rank, module.cols]), numbers: a },
    { entry: tensorOf(module, "B", [module.rows, rank]), numbers: b },
  ]);
  await writeSafetensors(
    path.join(folder, WEIGHTS_NAME),
    layoutSafetensors(
      tensors.map(({ entry }) => entry),
      { metadata: { format: "pt" } },
    ),
    tensors.map(({ entry: { name }, numbers }) => ({
      name,
      bytes: new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength),
    })),
  );
  const config = `${JSON.stringify(configOf(modules, additions, base), null, 2)}\n`;
  await writeFileAtomic(path.join(folder, CONFIG_NAME), config);
}

function rolesOf({ matrices }: Module): readonly string[] {
  return matrices.map(({ role }) => role);
}

function tensorOf({ path }: Module, letter: "A" | "B", shape: readonly number[]): SafetensorsEntry {
  return { name: `${MODULE_PREFIX}${path}.lora_${letter}.weight`, dtype: "F32", shape };
}

/** A folder without a config: a killed run leaves no adapter whose files are of two. */
async function makeRoom(folder: string): Promise<void> {
  await makeFolders(folder);
  const names = await listFolder(folder);
  if (names.length > 0 && !names.includes(CONFIG_NAME) && !names.every((name) => name.startsWith(WEIGHTS_NAME))) {
    const found = `${folder}: expected an adapter's folder or none, found a folder with other files`;
    throw new UserError("OUTPUT_EXISTS", found, "choose another name");
  }
  await removeFile(path.join(folder, CONFIG_NAME));
}

/** What PEFT's LoraConfig is made from. Ranks and alphas that are not the most frequent ones stand by their module. */
function configOf(modules: readonly Module[], additions: readonly Addition[], base: string | null): object {
  const settings = additions.map(({ module, rank, factor }) => ({ ...module, rank, alpha: alphaOf(factor, rank) }));
  const r = mostFrequent(settings.map(({ rank }) => rank)) ?? 1;
  const alpha = mostFrequent(settings.map((one) => one.alpha)) ?? 1;
  return {
    peft_type: "LORA",
    task_type: "CAUSAL_LM",
    base_model_name_or_path: base,
    inference_mode: true,
    target_modules: targetsOf(modules, additions),
    r,
    lora_alpha: alpha,
    rank_pattern: Object.fromEntries(settings.filter(({ rank }) => rank !== r).map((one) => [one.path, one.rank])),
    alpha_pattern: Object.fromEntries(
      settings.filter((one) => one.alpha !== alpha).map((one) => [one.path, one.alpha]),
    ),
    lora_dropout: 0,
    bias: "none",
    fan_in_fan_out: false,
    use_rslora: false,
    use_dora: false,
    modules_to_save: null,
  };
}

/** The alpha that gives the factor when it is divided by the rank: the whole number where one does. */
function alphaOf(factor: number, rank: number): number {
  const whole = Math.round(factor * rank);
  return whole / rank === factor ? whole : factor * rank;
}

function mostFrequent(values: readonly number[]): number | undefined {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort(([, one], [, other]) => other - one)[0]?.[0];
}

/** Modules by the last word of their path where all of that word have an addition, else by the whole path. */
function targetsOf(modules: readonly Module[], additions: readonly Addition[]): string[] {
  const own = new Set(additions.map(({ module }) => module.path));
  const lastOf = (path: string) => path.slice(path.lastIndexOf(".") + 1);
  const partial = new Set(modules.filter(({ path }) => !own.has(path)).map(({ path }) => lastOf(path)));
  return [...new Set([...own].map((path) => (partial.has(lastOf(path)) ? path : lastOf(path))))];
}
