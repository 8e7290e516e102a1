import path from "node:path";
import { UserError } from "../errors.ts";
import {
  type Dtype,
  openSafetensors,
  type SafetensorsFile,
  showName,
  showShape,
  type TensorInfo,
} from "../formats/safetensors/index.ts";
import type { ModelDescription, TensorSource } from "./architectures/architecture.ts";
import { type CheckpointFolder, missingShard } from "./checkpoint-folder.ts";
import { alreadyQuantized } from "./foreign-tensors.ts";

/** A tensor and the open file that holds it. */
export interface StoredTensor {
  readonly file: SafetensorsFile;
  readonly info: TensorInfo;
}

/** Where a parameter of the model lies: a tensor, or rows of one; `offset` is added to its numbers. */
export interface StoredParameter extends StoredTensor {
  readonly rowRanges: TensorSource["rowRanges"];
  readonly offset: number;
}

/** The tensors of all shards that are there, listed in the index or not. */
export interface TensorTable {
  readonly files: readonly SafetensorsFile[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Tensors of other shards by a name that `tensors` has. */
  readonly copies: ReadonlyMap<string, readonly StoredTensor[]>;
}

const WEIGHT_DTYPES: readonly Dtype[] = ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"];

/** Opens every shard that is there; on an error all are closed again. A UserError if a file is bad. */
export async function openShards(folder: CheckpointFolder): Promise<TensorTable> {
  const files: SafetensorsFile[] = [];
  try {
    for (const shard of folder.shards) files.push(await openSafetensors(path.join(folder.folder, shard)));
    return tableOf(files);
  } catch (error) {
    await Promise.all(files.map((file) => file.close()));
    throw error;
  }
}

function tableOf(files: readonly SafetensorsFile[]): TensorTable {
  const tensors = new Map<string, StoredTensor>();
  const copies = new Map<string, StoredTensor[]>();
  for (const file of files) {
    for (const [name, info] of file.tensors) {
      const stored = { file, info };
      if (tensors.has(name)) copies.set(name, [...(copies.get(name) ?? []), stored]);
      else tensors.set(name, stored);
    }
  }
  return { files, tensors, copies };
}

/**
 * Finds every parameter of the model among the tensors. A UserError for a missing tensor, a shape or a type that
 * disagrees with config.json (tensor, expected, found).
 */
export function locateParameters(
  description: ModelDescription,
  table: TensorTable,
  folder: CheckpointFolder,
): Map<string, StoredParameter> {
  const located = new Map<string, StoredParameter>();
  for (const [id, source] of description.sources) {
    const name = source.names.find((candidate) => table.tensors.has(candidate));
    const stored = name === undefined ? undefined : table.tensors.get(name);
    if (!stored) throw missingTensor(id, source, table, folder);
    checkStored(stored, source);
    located.set(id, { ...stored, rowRanges: source.rowRanges, offset: source.offset });
  }
  return located;
}

/** The error for a parameter that no shard has: why, as far as index and other names tell. */
function missingTensor(id: string, source: TensorSource, table: TensorTable, folder: CheckpointFolder): UserError {
  const { folder: label, weightMap, shards } = folder;
  const [name] = source.names;
  const shard = source.names.map((candidate) => weightMap?.get(candidate)).find((listed) => listed !== undefined);
  if (shard !== undefined && !shards.includes(shard)) return missingShard(folder);
  if (shard !== undefined) {
    const what = `${path.join(label, shard)}: expected tensor ${showName(name)} by the index, found none`;
    return new UserError("BAD_INDEX", what, "download the shard and the index again");
  }
  const what = `${label}: expected tensor ${showName(name)} by config.json, found`;
  const prefixed = [...table.tensors.keys()].find((other) => other.endsWith(`.${name}`));
  if (prefixed !== undefined) {
    const prefix = showName(prefixed.slice(0, -name.length));
    const hint = `save the model without what puts the prefix ${prefix} before its names (a wrapper, a larger model)`;
    return new UserError("MISSING_TENSOR", `${what} ${showName(prefixed)}`, hint);
  }
  const hint =
    id === "head"
      ? "the head is missing; where it is the embedding itself, config.json must say tie_word_embeddings true"
      : "the checkpoint is incomplete or its config.json is another model's";
  return new UserError("MISSING_TENSOR", `${what} none`, hint);
}

function checkStored({ file, info }: StoredTensor, source: TensorSource): void {
  const where = `${file.label}: tensor ${showName(info.name)}`;
  if (!WEIGHT_DTYPES.includes(info.dtype)) {
    throw alreadyQuantized(`${where}: expected floating-point weights, found ${info.dtype}`);
  }
  const expected = showShape(source.shape);
  if (showShape(info.shape) === expected) return;
  throw new UserError(
    "SHAPE_MISMATCH",
    `${where}: expected shape ${expected} by config.json, found ${showShape(info.shape)}`,
    "config.json and weights belong to different models",
  );
}

/** Every name under which a parameter of the model may lie, a tied head's too. */
export function knownNames({ sources, tiedHead }: ModelDescription): ReadonlySet<string> {
  return new Set([...sources.values(), ...(tiedHead ? [tiedHead] : [])].flatMap(({ names }) => names));
}

/**
 * Tensors that the model neither needs nor ignores, sorted. A UserError if one of them shows that config.json describes
 * another model: a block beyond its last, or a bias or norm that it says is not there.
 */
export function unusedTensors(description: ModelDescription, table: TensorTable, label: string): string[] {
  const known = knownNames(description);
  const unused = [...table.tensors.keys()].filter(
    (name) => !known.has(name) && !description.ignored.some((ignored) => ignored.test(name)),
  );
  const anyBlock = (name: string) => name.replaceAll(/\.[0-9]+\./g, ".*.");
  const kinds = new Set([...known].map(anyBlock));
  for (const name of unused) {
    if (kinds.has(anyBlock(name))) throw disagrees(label, name, `only ${description.spec.blocks.length} blocks`);
    if (name.endsWith(".bias") && known.has(name.replace(/bias$/, "weight")))
      throw disagrees(label, name, "no such bias");
    // Left out, a norm of a block would change every number after it without a word.
    if (/\.[0-9]+\..*norm/.test(name)) throw disagrees(label, name, "no such norm");
  }
  return unused.sort();
}

function disagrees(label: string, name: string, expected: string): UserError {
  return new UserError(
    "SHAPE_MISMATCH",
    `${label}: expected ${expected} by config.json, found tensor ${showName(name)}`,
    "config.json and weights belong to different models",
  );
}
