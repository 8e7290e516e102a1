import path from "node:path";
import { z } from "zod";
import { UserError } from "../errors.ts";
import { foreignAt } from "../formats/byte-source.ts";
import { isFile, listFolder, parseJsonBytes, readFileBytes, readJsonFile } from "../formats/files.ts";
import { hubNameError } from "../formats/hub-name.ts";
import { showName } from "../formats/safetensors/index.ts";
import { QUANTIZED_FIELDS } from "./architectures/unsupported-fields.ts";
import { alreadyQuantized } from "./foreign-tensors.ts";

/** Largest config.json: real ones have some kilobytes, LongRoPE's factors included. */
const MAX_CONFIG_BYTES = 16 * 1024 * 1024;
/** Most values of it: 21,841 labels by name and by number, as some have, are 90,000. */
const MAX_CONFIG_VALUES = 2 ** 17;

/** What a checkpoint's folder holds, before any weights file is opened. */
export interface CheckpointFolder {
  readonly folder: string;
  /** config.json as it is on the disk, and parsed. */
  readonly configBytes: Uint8Array;
  readonly configJson: unknown;
  /** Weights files that are there, relative to the folder, sorted. */
  readonly shards: readonly string[];
  /** Tensor name -> shard by the index file, the shard there or not; null where one file holds everything. */
  readonly weightMap: ReadonlyMap<string, string> | null;
}

const SINGLE_FILE = "model.safetensors";
const INDEX_FILE = "model.safetensors.index.json";
const ShardIndex = z.object({ weight_map: z.record(z.string(), z.string()) });

/** Files that say that the folder holds changes to another model's weights. */
const ADAPTER_FILES = ["adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"];
/** Formats that are not read: pickles run code when they are opened, the others are other tools' conversions. */
const OTHER_WEIGHTS = /\.(bin|pt|pth|ckpt|pkl|gguf|h5|msgpack|onnx|npz|ot|tflite)$/;
/** Pickles that are no weights, by Hugging Face's custom. */
const NO_WEIGHTS = /^(training_args|optimizer|scheduler|rng_state.*|tokenizer.*)\.(bin|pt|pth)$/;

const EXPERT_KEYS = ["num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts"];

function refuseAdapter(folder: string, names: readonly string[]): void {
  const found = ADAPTER_FILES.find((name) => names.includes(name));
  if (!found) return;
  throw new UserError(
    "ADAPTER",
    `${path.join(folder, found)}: expected a whole model, found adapter weights`,
    "name its base model, and the adapter beside it: --adapter DIR",
  );
}

async function readConfig(folder: string, names: readonly string[]): Promise<Uint8Array> {
  const file = path.join(folder, "config.json");
  if (!names.includes("config.json")) {
    const hint = "name the folder of a Hugging Face checkpoint";
    throw new UserError("NO_CONFIG", `${folder}: expected a checkpoint, found no config.json in it`, hint);
  }
  return readFileBytes(file, MAX_CONFIG_BYTES);
}

/** Refuses what a config says about the weights themselves, whatever the family: quantized already, or experts. */
function refuseConfig(config: unknown, folder: string): void {
  if (typeof config !== "object" || config === null || Array.isArray(config)) return;
  const label = path.join(folder, "config.json");
  for (const [key, value] of Object.entries(config)) {
    if (QUANTIZED_FIELDS.includes(key) && value !== null) {
      throw alreadyQuantized(`${label}: ${key}: expected none, found a quantized checkpoint`);
    }
    if (EXPERT_KEYS.includes(key) && value !== null && value !== 0) {
      const found = `${label}: ${key}: expected a dense model, found ${JSON.stringify(value)} experts`;
      throw new UserError("EXPERTS", found, "models with experts are not supported");
    }
  }
}

/** Whether a file of that name holds weights in a format that is not read. */
export function isOtherWeights(name: string): boolean {
  return OTHER_WEIGHTS.test(name) && !NO_WEIGHTS.test(name);
}

/** Refuses a folder without safetensors, naming what lies there instead. */
function noSafetensors(folder: string, names: readonly string[]): UserError {
  const other = names.find(isOtherWeights);
  const isPickle = other !== undefined && /\.(bin|pt|pth|ckpt|pkl)$/.test(other);
  if (isPickle) {
    const hint = "convert it to safetensors (transformers: save_pretrained(..., safe_serialization=True))";
    return new UserError("PICKLE", `${path.join(folder, other)}: expected safetensors, found pickle weights`, hint);
  }
  const found = other === undefined ? "no weights" : other;
  const hint = "start from the original checkpoint in safetensors";
  return new UserError("NO_WEIGHTS", `${folder}: expected ${SINGLE_FILE} or ${INDEX_FILE}, found ${found}`, hint);
}

/** A shard's name must stay inside the folder: an index is a stranger's file. */
function checkShardName(index: string, shard: string): void {
  const parts = shard.split("/");
  const plain = parts.every((part) => part !== "" && part !== "." && part !== "..") && !/[\\\0:]/.test(shard);
  if (plain && shard.endsWith(".safetensors")) return;
  throw new UserError(
    "BAD_INDEX",
    `${index}: weight_map: expected the names of .safetensors files in the folder, found ${showName(shard)}`,
  );
}

async function readIndex(folder: string): Promise<ReadonlyMap<string, string>> {
  const file = path.join(folder, INDEX_FILE);
  const { weight_map } = await readJsonFile(file, ShardIndex);
  const weightMap = new Map(Object.entries(weight_map));
  if (weightMap.size === 0) throw new UserError("BAD_INDEX", `${file}: weight_map: expected tensors, found none`);
  for (const shard of new Set(weightMap.values())) checkShardName(file, shard);
  return weightMap;
}

/** The shards of the index that are there; what is missing matters where the model needs something of it. */
async function findShards(folder: string, weightMap: ReadonlyMap<string, string>): Promise<string[]> {
  const found: string[] = [];
  for (const shard of [...new Set(weightMap.values())].sort()) {
    if (await isFile(path.join(folder, shard))) found.push(shard);
  }
  if (found.length === 0) throw missingShard({ folder, shards: [], weightMap });
  return found;
}

/** The error for shards that the index names and that are not in the folder. */
export function missingShard({
  folder,
  shards,
  weightMap,
}: Pick<CheckpointFolder, "folder" | "shards" | "weightMap">): UserError {
  const listed = [...new Set(weightMap?.values())].sort();
  const [first, ...others] = listed.filter((shard) => !shards.includes(shard));
  const more = others.length > 0 ? ` and ${others.length} more` : "";
  return new UserError(
    "MISSING_SHARD",
    `${path.join(folder, INDEX_FILE)}: expected ${listed.length} shards, found ${shards.length}: no ${first}${more}`,
    "download the missing files",
  );
}

/** Whether the files are `NAME-00001-of-00003.safetensors` and so on to the last: then no index is needed. */
function areWhole(files: readonly string[]): boolean {
  const parts = files.map((name) => /^(.*)-(\d{5})-of-(\d{5})\.safetensors$/.exec(name));
  const total = files.length.toString().padStart(5, "0");
  return parts.every((part, i) => part?.[1] === parts[0]?.[1] && Number(part?.[2]) === i + 1 && part?.[3] === total);
}

async function findWeights(
  folder: string,
  names: readonly string[],
): Promise<Pick<CheckpointFolder, "shards" | "weightMap">> {
  if (names.includes(SINGLE_FILE)) return { shards: [SINGLE_FILE], weightMap: null };
  if (names.includes(INDEX_FILE)) {
    const weightMap = await readIndex(folder);
    return { shards: await findShards(folder, weightMap), weightMap };
  }
  const files = names.filter((name) => name.endsWith(".safetensors"));
  if (files.length === 0) throw noSafetensors(folder, names);
  if (files.length === 1 || areWhole(files)) return { shards: files, weightMap: null };
  const found = `${files.length} safetensors files and no ${INDEX_FILE}`;
  throw new UserError(
    "NO_INDEX",
    `${folder}: expected ${SINGLE_FILE} or an index, found ${found}`,
    "download the index",
  );
}

/**
 * Looks at a checkpoint's folder and reads its config and shard index. UserErrors: no folder, no config, not JSON, an
 * adapter, quantized already, experts, pickle weights only, no weights, no shard at all, shard names that leave the
 * folder.
 */
export async function readCheckpointFolder(folder: string): Promise<CheckpointFolder> {
  const names = await listFolder(folder).catch(async (error: unknown) => {
    throw (await foreignAt(folder, "the folder of a checkpoint")) ?? (await hubNameError(folder)) ?? error;
  });
  refuseAdapter(folder, names);
  const configBytes = await readConfig(folder, names);
  const configJson = parseJsonBytes(configBytes, path.join(folder, "config.json"), MAX_CONFIG_VALUES);
  refuseConfig(configJson, folder);
  return { folder, configBytes, configJson, ...(await findWeights(folder, names)) };
}
