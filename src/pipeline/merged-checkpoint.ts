import { promises as fs } from "node:fs";
import path from "node:path";
import { UserError } from "../errors.ts";
import { fileError, listFolder, partialPath } from "../formats/files.ts";
import { makeFolders, removeFolder } from "../formats/make-folders.ts";
import {
  layoutSafetensors,
  type SafetensorsFile,
  type TensorInfo,
  type TensorPiece,
  writeSafetensors,
} from "../formats/safetensors/index.ts";
import type { Checkpoint } from "../model/checkpoint.ts";
import type { LowRankPart } from "../model/low-rank.ts";
import { idOf } from "../model/matrix-id.ts";
import { mergedSource } from "../model/merged-source.ts";
import { f32ToBf16Array, f32ToF16Array } from "../tensor/half.ts";

/** Files of a checkpoint beside its weights. */
const BESIDE = /\.(json|txt|model|jinja)$/;

/** Throws UserError OUTPUT_EXISTS where the folder of a merged checkpoint would not be a new one. */
export async function checkMergeTarget(folder: string): Promise<void> {
  const names = await fs.readdir(folder).catch(() => []);
  if (names.length === 0) return;
  throw new UserError(
    "OUTPUT_EXISTS",
    `${folder}: expected no such folder, found one with files`,
    "choose another name",
  );
}

/**
 * Writes a checkpoint, whole or not at all, with additions merged into its matrices, W + factor B A, in the element
 * types and files that it has: `compress` and other tools read it as they read the checkpoint.
 */
export async function writeMergedCheckpoint(
  checkpoint: Checkpoint,
  parts: readonly LowRankPart[],
  folder: string,
): Promise<void> {
  await checkMergeTarget(folder);
  const partial = partialPath(folder);
  await removeFolder(partial);
  await makeFolders(partial);
  const merged = mergedSource(checkpoint, parts);
  /** Ids of the matrices that change, by file and tensor: several where the checkpoint has fused them. */
  const changed = new Map<SafetensorsFile, Map<string, string[]>>();
  for (const { block, role } of parts) {
    const id = idOf(block, role);
    const { file, info } = checkpoint.locate(id);
    const own = changed.get(file) ?? new Map<string, string[]>();
    changed.set(file, own);
    own.set(info.name, [...(own.get(info.name) ?? []), id]);
  }
  const numbersOf = async (file: SafetensorsFile, info: TensorInfo, ids: readonly string[]) => {
    const numbers = await file.readF32(info.name);
    const cols = info.shape[1];
    for (const id of ids) {
      let row = 0;
      for (const [from, to] of checkpoint.locate(id).rowRanges ?? [[0, info.shape[0]]]) {
        numbers.set(await merged.readRows(id, row, row + to - from), from * cols);
        row += to - from;
      }
    }
    return numbers;
  };
  async function* pieces(file: SafetensorsFile): AsyncGenerator<TensorPiece> {
    for (const [name, info] of file.tensors) {
      const ids = changed.get(file)?.get(name);
      const bytes = ids ? encoded(await numbersOf(file, info, ids), info) : await file.readBytes(name);
      yield { name, bytes };
    }
  }
  for (const file of checkpoint.shards) {
    const entries = [...file.tensors.values()].map(({ name, dtype, shape }) => ({ name, dtype, shape }));
    const layout = layoutSafetensors(entries, { metadata: Object.fromEntries(file.metadata ?? []) });
    await writeSafetensors(path.join(partial, path.basename(file.label)), layout, pieces(file));
  }
  for (const name of await listFolder(checkpoint.label)) {
    if (BESIDE.test(name)) await copy(path.join(checkpoint.label, name), path.join(partial, name));
  }
  await moveInto(partial, folder);
}

function encoded(numbers: Float32Array, { name, dtype }: TensorInfo): Uint8Array {
  const bytesOf = ({ buffer, byteOffset, byteLength }: Float32Array | Uint16Array) =>
    new Uint8Array(buffer, byteOffset, byteLength);
  if (dtype === "F32") return bytesOf(numbers);
  if (dtype === "BF16") return bytesOf(f32ToBf16Array(numbers));
  if (dtype === "F16") return bytesOf(f32ToF16Array(numbers));
  throw new UserError("MERGE_DTYPE", `tensor ${name}: expected F32, F16 or BF16 to merge into, found ${dtype}`);
}

/** An empty folder of the name gives way. */
async function moveInto(partial: string, folder: string): Promise<void> {
  try {
    await fs.rmdir(folder).catch(() => undefined);
    await fs.rename(partial, folder);
  } catch (error) {
    throw fileError(error, folder, "write");
  }
}

async function copy(from: string, to: string): Promise<void> {
  try {
    await fs.copyFile(from, to);
  } catch (error) {
    throw fileError(error, to, "write");
  }
}
