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
import type { CheckpointFolder } from "./checkpoint-folder.ts";

/** A tensor and the open file that holds it. */
interface StoredTensor {
  readonly file: SafetensorsFile;
  readonly info: TensorInfo;
}

/** Where a parameter of the model lies: a tensor, or rows of one; `offset` is added to its numbers. */
export interface StoredParameter extends StoredTensor {
  readonly rowRanges: TensorSource["rowRanges"];
  readonly offset: number;
}

/** The tensors of all shards. */
export interface TensorTable {
  readonly files: readonly SafetensorsFile[];
  readonly tensors: ReadonlyMap<string, StoredTensor>;
  /** Tensors that lie in a shard but not in the index. */
  readonly unlisted: readonly string[];
}

const WEIGHT_DTYPES: readonly Dtype[] = ["F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"];

/**
 * Opens every shard; on an error all are closed again. A UserError if a file is bad or lacks a tensor that the index
 * promises.
 */
export async function openShards(folder: CheckpointFolder): Promise<TensorTable> {
  const files = new Map<string, SafetensorsFile>();
  try {
    for (const shard of folder.shards) files.set(shard, await openSafetensors(path.join(folder.folder, shard)));
    return { files: [...files.values()], ...tableOf(files, folder.weightMap) };
  } catch (error) {
    await Promise.all([...files.values()].map((file) => file.close()));
    throw error;
  }
}

function tableOf(
  files: ReadonlyMap<string, SafetensorsFile>,
  weightMap: ReadonlyMap<string, string> | null,
): Pick<TensorTable, "tensors" | "unlisted"> {
  const tensors = new Map<string, StoredTensor>();
  const unlisted: string[] = [];
  for (const [name, shard] of weightMap ?? []) {
    const file = files.get(shard);
    const info = file?.tensors.get(name);
    if (file && info) tensors.set(name, { file, info });
    else
      throw new UserError(
        "BAD_INDEX",
        `${file?.label ?? shard}: expected tensor ${showName(name)} by the index, found none`,
        "download the shard and the index again",
      );
  }
  for (const file of files.values()) {
    for (const [name, info] of file.tensors) {
      if (weightMap === null) tensors.set(name, { file, info });
      else if (!weightMap.has(name)) unlisted.push(name);
    }
  }
  return { tensors, unlisted };
}

/**
 * Finds every parameter of the model among the tensors. A UserError for a missing tensor, a shape or a type that
 * disagrees with config.json (tensor, expected, found).
 */
export function locateParameters(
  description: ModelDescription,
  table: TensorTable,
  label: string,
): Map<string, StoredParameter> {
  const located = new Map<string, StoredParameter>();
  for (const [id, source] of description.sources) {
    const name = source.names.find((candidate) => table.tensors.has(candidate));
    const stored = name === undefined ? undefined : table.tensors.get(name);
    if (!stored) {
      const names = source.names.map(showName).join(" or ");
      const hint = "the checkpoint is incomplete or its config.json is another model's";
      throw new UserError("MISSING_TENSOR", `${label}: expected tensor ${names} by config.json, found none`, hint);
    }
    checkStored(stored, source, table);
    located.set(id, { ...stored, rowRanges: source.rowRanges, offset: source.offset });
  }
  return located;
}

function checkStored({ file, info }: StoredTensor, source: TensorSource, table: TensorTable): void {
  const where = `${file.label}: tensor ${showName(info.name)}`;
  const expected = showShape(source.shape);
  if (showShape(info.shape) !== expected) {
    throw new UserError(
      "SHAPE_MISMATCH",
      `${where}: expected shape ${expected} by config.json, found ${showShape(info.shape)}`,
      "config.json and weights belong to different models",
    );
  }
  const scaled = ["_scale", "_scale_inv"].some((suffix) => table.tensors.has(info.name + suffix));
  if (WEIGHT_DTYPES.includes(info.dtype) && !scaled) return;
  throw new UserError(
    "ALREADY_QUANTIZED",
    `${where}: expected floating-point weights, found ${info.dtype}${scaled ? " with a scale beside it" : ""}`,
    "start from the original checkpoint in f32, f16 or bf16",
  );
}

/**
 * Tensors that the model neither needs nor ignores, sorted. A UserError if one of them shows that config.json describes
 * another model: a block beyond its last, or a bias that it says is not there.
 */
export function unusedTensors(description: ModelDescription, table: TensorTable, label: string): string[] {
  const known = new Set([...description.sources.values()].flatMap((source) => source.names));
  const all = [...table.tensors.keys(), ...table.unlisted];
  const unused = all.filter((name) => !known.has(name) && !description.ignored.some((ignored) => ignored.test(name)));
  const anyBlock = (name: string) => name.replaceAll(/\.[0-9]+\./g, ".*.");
  const kinds = new Set([...known].map(anyBlock));
  for (const name of unused) {
    if (kinds.has(anyBlock(name))) throw disagrees(label, name, `only ${description.spec.blocks.length} blocks`);
    if (name.endsWith(".bias") && known.has(name.replace(/bias$/, "weight")))
      throw disagrees(label, name, "no such bias");
  }
  return [...new Set(unused)].sort();
}

function disagrees(label: string, name: string, expected: string): UserError {
  return new UserError(
    "SHAPE_MISMATCH",
    `${label}: expected ${expected} by config.json, found tensor ${showName(name)}`,
    "config.json and weights belong to different models",
  );
}
