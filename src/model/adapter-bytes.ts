import { z } from "zod";
import { CODECS } from "../codecs/index.ts";
import { layoutSafetensors, type SafetensorsLayout } from "../formats/safetensors/layout.ts";
import type { DecoderSpec, LinearSpec } from "./decoder-spec.ts";
import { linearOf } from "./low-rank.ts";
import { type BlockRole, idOf } from "./matrix-id.ts";
import { type MemoryItem, type MemorySum, withItems } from "./memory-sum.ts";

/** Data of the adapter's file starts at a multiple of this, as that of the exits file does. */
const DATA_ALIGN = 64;

/** Types in which an adapter's numbers may be stored. */
export const AdapterDtype = z.enum(["F16", "F32"]);
export type AdapterDtype = z.infer<typeof AdapterDtype>;
/** Codecs that hold them at run time. */
const CODEC_OF = { F16: "f16", F32: "f32" } as const;

/** All that the bytes of an adapter depend on beside the model. */
export interface AdapterShape {
  readonly dtype: AdapterDtype;
  /** In execution order. */
  readonly parts: readonly { readonly block: number; readonly role: BlockRole; readonly rank: number }[];
}

/**
 * `adapter.safetensors` to the byte: of every part A [rank, cols], then B [rows, rank], row by row. Pure. Throws where
 * the model has no such matrix.
 */
export function adapterFileLayout(spec: DecoderSpec, { dtype, parts }: AdapterShape): SafetensorsLayout {
  const tensors = parts.flatMap(({ block, role, rank }) => {
    const { rows, cols } = matrixOf(spec, block, role);
    const id = idOf(block, role);
    return [
      { name: `${id}.a`, dtype, shape: [rank, cols] },
      { name: `${id}.b`, dtype, shape: [rows, rank] },
    ];
  });
  return layoutSafetensors(tensors, { metadata: { format: "layerwise", version: "2" }, dataAlign: DATA_ALIGN });
}

/** A memory sum with another adapter in place of the one that it may have; null: without any. */
export function memoryWithAdapter(memory: MemorySum, spec: DecoderSpec, adapter: AdapterShape | null): MemorySum {
  const items = memory.items.filter(({ key }) => key !== "adapter" && key !== "adapter.tiles");
  if (!adapter) return withItems(memory, items);
  const { totalBytes, dataOffset } = adapterFileLayout(spec, adapter);
  const inFile: MemoryItem = { key: "adapter", label: "adapter", bytes: totalBytes, where: "file" };
  const label = "adapter: tiles beyond its numbers";
  const tiles = tileBytes(spec, adapter, memory.residency) - (totalBytes - dataOffset);
  const atRun: MemoryItem = { key: "adapter.tiles", label, bytes: tiles, where: "runtime" };
  const files = items.filter(({ where }) => where === "file");
  return withItems(memory, [...files, inFile, ...items.slice(files.length), atRun]);
}

/** Both factors as an executor holds them: in tiles of 16 rows, expanded where all that it holds is. */
function tileBytes(spec: DecoderSpec, { dtype, parts }: AdapterShape, residency: MemorySum["residency"]): number {
  const codec = CODECS[residency === "resident" ? "f32" : CODEC_OF[dtype]];
  return parts.reduce((sum, { block, role, rank }) => {
    const { rows, cols } = matrixOf(spec, block, role);
    return sum + codec.packedBytes(rank, cols) + codec.packedBytes(rows, rank);
  }, 0);
}

function matrixOf(spec: DecoderSpec, block: number, role: BlockRole): LinearSpec {
  const found = linearOf(spec, { block, role });
  if (!found) throw new Error(`adapter: ${idOf(block, role)}: the model has no such matrix`);
  return found;
}
