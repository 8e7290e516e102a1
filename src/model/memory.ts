import { CODECS, type CodecId } from "../codecs/index.ts";
import { type AdapterShape, memoryWithAdapter } from "./adapter-bytes.ts";
import {
  type AttentionSpec,
  type BlockSpec,
  type DecoderSpec,
  headMatrixId,
  type MatrixInfo,
  matricesOf,
} from "./decoder-spec.ts";
import { type ExitShape, memoryWithExits } from "./exit-bytes.ts";
import { kvVectorBytes } from "./kv-type.ts";
import { linearOf } from "./low-rank.ts";
import { halfOf } from "./matrix-id.ts";
import type { MemoryItem, MemorySum } from "./memory-sum.ts";
import { type PackedLayout, type PackedTensor, packedLayout } from "./packed-layout.ts";
import { KV_PAGE_POSITIONS, KV_WINDOW_SLACK, workspaceBytes } from "./workspace.ts";

/** What a memory sum depends on beside the model and its codecs. */
export interface MemoryOptions {
  /** Positions that one sequence may reach. */
  readonly contextTokens: number;
  readonly kvType: MemorySum["kvType"];
  readonly residency: MemorySum["residency"];
  /** Measured base of the runtime's process. */
  readonly runtimeBaseBytes: number;
  readonly budgetCovers: MemorySum["budgetCovers"];
  /** Early exits; null or absent: none. */
  readonly exits?: ExitShape | null | undefined;
  /** Additions to the blocks' matrices, of which those count that the model has; absent: none. */
  readonly adapter?: AdapterShape | undefined;
}

const GROUPS = { embedding: "embedding", attn: "attention", mlp: "MLP", head: "output head" } as const;
type Group = keyof typeof GROUPS;

/** The itemised memory of a run. Planner, writer, `inspect`, report and `verify` all use this one function. */
export function memorySum(spec: DecoderSpec, codecs: ReadonlyMap<string, string>, options: MemoryOptions): MemorySum {
  return layoutMemory(spec, packedLayout(spec, codecs), options);
}

/** {@link memorySum} of a layout that is there already. */
export function layoutMemory(spec: DecoderSpec, layout: PackedLayout, options: MemoryOptions): MemorySum {
  const { contextTokens, kvType, residency, runtimeBaseBytes, budgetCovers } = options;
  const files = fileItems(layout);
  const items = [...files, ...runtimeItems(spec, options)];
  const modelBytes = sumBytes(items);
  const plain: MemorySum = {
    items,
    fileBytes: sumBytes(files),
    modelBytes,
    runtimeBaseBytes,
    budgetCovers,
    totalBytes: budgetCovers === "process" ? modelBytes + runtimeBaseBytes : modelBytes,
    contextTokens,
    kvType,
    residency,
  };
  const memory = options.adapter ? memoryWithAdapter(plain, spec, fitting(spec, options.adapter)) : plain;
  return options.exits ? memoryWithExits(memory, spec, options.exits, headCodecOf(spec, layout)) : memory;
}

/** The parts of a planned adapter that the model has a matrix for: pruning may leave out some. */
function fitting(spec: DecoderSpec, { dtype, parts }: AdapterShape): AdapterShape {
  return { dtype, parts: parts.filter((part) => linearOf(spec, part)) };
}

/** The codec of the output head. */
export function headCodecOf(spec: DecoderSpec, { segments }: PackedLayout): CodecId {
  const head = segments.flat().find(({ name }) => name === headMatrixId(spec));
  if (head?.kind !== "matrix") throw new Error("the layout has no output head");
  return head.codec;
}

const sumBytes = (items: readonly { bytes: number }[]) => items.reduce((sum, { bytes }) => sum + bytes, 0);

/** Levels and scales by role, vectors, headers, padding, and a line for exits: together the files. */
function fileItems(layout: PackedLayout): MemoryItem[] {
  const tensors = layout.segments.flat();
  const matrices = tensors.flatMap((tensor) => (tensor.kind === "matrix" ? [tensor] : []));
  const vectors = tensors.filter((tensor) => tensor.kind === "vector");
  const content = (of: readonly PackedTensor[]) => of.reduce((sum, { contentBytes }) => sum + contentBytes, 0);
  const header = layout.files.reduce((sum, file) => sum + file.layout.dataOffset, 0);
  const items: MemoryItem[] = [];
  const add = (key: string, label: string, bytes: number) => items.push({ key, label, bytes, where: "file" });
  for (const [group, name] of Object.entries(GROUPS)) {
    const parts = matrices.filter(({ matrix }) => groupOf(matrix) === group).map(partsOf);
    if (parts.length === 0) continue;
    add(
      `${group}.levels`,
      `${name}: levels`,
      parts.reduce((sum, { levels }) => sum + levels, 0),
    );
    add(
      `${group}.scales`,
      `${name}: scales`,
      parts.reduce((sum, { scales }) => sum + scales, 0),
    );
  }
  add("vectors", "norms and biases", content(vectors));
  add("header", "file headers", header);
  add("padding", "padding", sumBytes(tensors) - content(tensors));
  add("exits", "exit heads", 0);
  return items;
}

function groupOf({ role }: MatrixInfo): Group {
  if (role === "embedding" || role === "head") return role;
  return halfOf(role);
}

function partsOf({ codec, matrix }: Extract<PackedTensor, { kind: "matrix" }>) {
  return CODECS[codec].packedParts(matrix.rows, matrix.cols);
}

function runtimeItems(spec: DecoderSpec, options: MemoryOptions): MemoryItem[] {
  const { contextTokens, kvType, residency } = options;
  const items: MemoryItem[] = [
    {
      key: "kv",
      label: `KV cache (${contextTokens} tokens, ${kvType})`,
      bytes: kvBytes(spec, options),
      where: "runtime",
    },
    {
      key: "workspace",
      label: "workspace",
      bytes: workspaceBytes(spec, { contextTokens, residency }),
      where: "runtime",
    },
  ];
  if (residency === "resident") {
    items.push({ key: "expanded", label: "expanded matrices (f32)", bytes: expandedBytes(spec), where: "runtime" });
  }
  return items;
}

/** Keys and values of one sequence at its longest. */
function kvBytes(spec: DecoderSpec, options: MemoryOptions): number {
  return spec.blocks.reduce((sum, block) => sum + kvBytesOf(block, options), 0);
}

/** What of them is one block's. */
export function kvBytesOf(
  { attention }: BlockSpec,
  { contextTokens, kvType }: Pick<MemoryOptions, "contextTokens" | "kvType">,
): number {
  if (!attention) return 0;
  const { kvHeads, headDim } = attention;
  return heldPositions(attention, contextTokens) * kvHeads * 2 * kvVectorBytes(kvType, headDim);
}

/** A sliding window keeps whole pages, and one more where it does not begin at a page. */
function heldPositions({ window }: AttentionSpec, contextTokens: number): number {
  if (window === null) return contextTokens;
  const pages = Math.ceil((window + KV_WINDOW_SLACK) / KV_PAGE_POSITIONS) + 1;
  return Math.min(contextTokens, pages * KV_PAGE_POSITIONS);
}

/** Matrices that a resident executor multiplies with, in f32; an embedding that is not the head stays packed. */
function expandedBytes(spec: DecoderSpec): number {
  const multiplied = matricesOf(spec).filter(({ block, id }) => block !== null || id === headMatrixId(spec));
  return multiplied.reduce((sum, { rows, cols }) => sum + rows * cols * 4, 0);
}
