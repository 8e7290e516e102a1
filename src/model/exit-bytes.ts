import { CODECS, type CodecId } from "../codecs/index.ts";
import { roundUp } from "../codecs/tile.ts";
import { layoutSafetensors, type SafetensorsEntry, type SafetensorsLayout } from "../formats/safetensors/layout.ts";
import type { DecoderSpec } from "./decoder-spec.ts";
import { type MemoryItem, type MemorySum, withItems } from "./memory-sum.ts";

/** Data of the exits file starts at a multiple of this: a cache line, as the tensors of the weights files do. */
const DATA_ALIGN = 64;
/** The gathered rows are counted in whole memory pages, which is how memory is handed out. */
const PAGE_BYTES = 4096;

/** All that the bytes of exits depend on beside the model: known before anything is trained. An ExitTable is one. */
export interface ExitShape {
  /** `rank`: of an adapter, null for others. `shared` has nothing of its own: the output head serves. */
  readonly exits: readonly { readonly kind: "adapter" | "linear" | "shared"; readonly rank: number | null }[];
  /** Ids that the heads score. */
  readonly vocabulary: "full" | { readonly ids: number };
}

/** Ids that an exit head scores, without the one logit for the rest. */
export function exitIds({ vocabSize }: DecoderSpec, { vocabulary }: ExitShape): number {
  return vocabulary === "full" ? vocabSize : vocabulary.ids;
}

/**
 * `exits.safetensors` to the byte: ids (absent for the full vocabulary), then of every exit norm, norm bias (layer norm
 * only) and tail (absent for the full vocabulary), then of every exit its f16 matrices: 4-byte numbers first, so that
 * all are aligned. Pure.
 */
export function exitFileLayout(spec: DecoderSpec, shape: ExitShape): SafetensorsLayout {
  const { vocabulary, exits } = shape;
  const ids: SafetensorsEntry[] =
    vocabulary === "full" ? [] : [{ name: "exits.ids", dtype: "I32", shape: [vocabulary.ids] }];
  const tensors = exits.map((_, i) => exitTensors(spec, shape, i));
  const ofType = (dtype: string) => tensors.flatMap((some) => some.filter((tensor) => tensor.dtype === dtype));
  return layoutSafetensors([...ids, ...ofType("F32"), ...ofType("F16")], {
    metadata: { format: "layerwise", version: "2" },
    dataAlign: DATA_ALIGN,
  });
}

/** Bytes of one exit's own tensors in the file. */
export function exitTensorBytes(spec: DecoderSpec, shape: ExitShape, exit: number): number {
  return exitTensors(spec, shape, exit).reduce(
    (sum, { dtype, shape: dims }) => sum + dims.reduce((product, n) => product * n, dtype === "F16" ? 2 : 4),
    0,
  );
}

function exitTensors(spec: DecoderSpec, shape: ExitShape, exit: number): SafetensorsEntry[] {
  const { hiddenSize, finalNorm } = spec;
  const { kind, rank } = shape.exits[exit];
  const tensors: SafetensorsEntry[] = [];
  const add = (name: string, dtype: "F32" | "F16", ...dims: number[]) =>
    tensors.push({ name: `exits.${exit}.${name}`, dtype, shape: dims });
  if (kind === "shared") return tensors;
  add("norm", "F32", hiddenSize);
  if (finalNorm.kind === "layer") add("norm_bias", "F32", hiddenSize);
  if (shape.vocabulary !== "full") add("tail", "F32", hiddenSize + 1);
  if (kind === "linear") add("matrix", "F16", exitIds(spec, shape), hiddenSize);
  else {
    if (rank === null) throw new Error(`exit ${exit}: an adapter has a rank`);
    add("down", "F16", rank, hiddenSize);
    add("up", "F16", hiddenSize, rank);
  }
  return tensors;
}

/**
 * Bytes at run time of the output head's rows that adapters over part of the vocabulary share, in the head's own codec
 * and in whole pages. 0 for the full vocabulary, where the output head itself serves, and for exits with matrices of
 * their own.
 */
export function gatheredRowBytes(spec: DecoderSpec, { exits, vocabulary }: ExitShape, headCodec: CodecId): number {
  if (vocabulary === "full" || exits.every(({ kind }) => kind === "linear")) return 0;
  return roundUp(CODECS[headCodec].packedBytes(vocabulary.ids, spec.hiddenSize), PAGE_BYTES);
}

/**
 * A memory sum with the exits of another model in place of those it has; null: without any. Every other line stays as
 * it is.
 */
export function memoryWithExits(
  memory: MemorySum,
  spec: DecoderSpec,
  exits: ExitShape | null,
  headCodec: CodecId,
): MemorySum {
  if (!exits) return memoryWithoutExits(memory);
  const gathered = gatheredRowBytes(spec, exits, headCodec);
  return withExitItems(memory, exitFileLayout(spec, exits).totalBytes, gathered);
}

/** A memory sum without the exits that it may have. */
export function memoryWithoutExits(memory: MemorySum): MemorySum {
  return withExitItems(memory, 0, 0);
}

function withExitItems(memory: MemorySum, inFile: number, gathered: number): MemorySum {
  const items = memory.items.flatMap((item): MemoryItem[] => {
    if (item.key === "exits.vocabulary") return [];
    return [item.key === "exits" ? { ...item, bytes: inFile } : item];
  });
  if (gathered > 0) {
    const label = "exit heads: rows of the output head";
    items.push({ key: "exits.vocabulary", label, bytes: gathered, where: "runtime" });
  }
  return withItems(memory, items);
}
