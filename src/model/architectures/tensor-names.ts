import { type DecoderSpec, type MatrixInfo, matricesOf, vectorsOf } from "../decoder-spec.ts";
import { type BlockPart, partsOf } from "../matrix-id.ts";
import type { ModelDescription, TensorSource } from "./architecture.ts";

/** Where a part lies: the tensor's name without `.weight` or `.bias`, and which rows of a fused tensor. */
export interface PartName {
  readonly tensor: string;
  readonly fused?: { readonly rows: number; readonly ranges: readonly (readonly [number, number])[] };
}

/** How a family names its tensors, without `.weight` and `.bias`. */
export interface TensorNames {
  readonly embedding: string;
  readonly head: string;
  /** What later versions of transformers call the head, where that differs. */
  readonly laterHead?: string;
  readonly finalNorm: string;
  /** What files take off the weights of norms: 1 where the model multiplies with 1 + w; absent: 0. */
  readonly normOffset?: number;
  block(index: number): Partial<Record<BlockPart, PartName>>;
}

/**
 * For every id of matricesOf(spec) and vectorsOf(spec), where it lies, and where a tied head would. A part that the
 * family does not name is a bug.
 */
export function sourcesOf(spec: DecoderSpec, names: TensorNames): Pick<ModelDescription, "sources" | "tiedHead"> {
  const blocks = spec.blocks.map((_, i) => names.block(i));
  const sources = new Map<string, TensorSource>();
  const bare = bareNames(names);
  const head = headSource(spec, names);
  for (const matrix of matricesOf(spec)) {
    sources.set(matrix.id, matrix.id === "head" ? head : bare(matrixSource(matrix, names, blocks)));
  }
  for (const { id, block, length } of vectorsOf(spec)) {
    const dot = id.lastIndexOf(".");
    const suffix = id.slice(dot);
    const part = block === null ? outerName(id.slice(0, dot), names) : partName(blocks, id.slice(0, dot));
    // Vectors that end so are the weights of norms.
    const offset = suffix === ".weight" ? (names.normOffset ?? 0) : 0;
    sources.set(id, bare({ ...sourceOf(part, suffix, [part.fused?.rows ?? length]), offset }));
  }
  return { sources, tiedHead: spec.tied ? head : null };
}

/** Adds the names that files of the bare decoder have: without what the decoder is called in the whole model. */
function bareNames({ embedding }: TensorNames): (source: TensorSource) => TensorSource {
  const prefix = embedding.slice(0, embedding.indexOf(".") + 1);
  return (source) => ({
    ...source,
    names: source.names.flatMap((name) => (name.startsWith(prefix) ? [name, name.slice(prefix.length)] : [name])),
  });
}

function matrixSource(
  matrix: MatrixInfo,
  names: TensorNames,
  blocks: readonly Partial<Record<BlockPart, PartName>>[],
): TensorSource {
  if (matrix.block === null) return sourceOf({ tensor: names.embedding }, ".weight", [matrix.rows, matrix.cols]);
  const part = partName(blocks, matrix.id);
  return sourceOf(part, ".weight", [part.fused?.rows ?? matrix.rows, matrix.cols]);
}

/** The output head's matrix, whether the model has it or, tied, only might store it. */
function headSource({ vocabSize, hiddenSize }: DecoderSpec, { head, laterHead }: TensorNames): TensorSource {
  const source = sourceOf({ tensor: head }, ".weight", [vocabSize, hiddenSize]);
  return laterHead ? { ...source, names: [...source.names, `${laterHead}.weight`] } : source;
}

function outerName(part: string, names: TensorNames): PartName {
  if (part === "finalNorm") return { tensor: names.finalNorm };
  if (part === "head") return { tensor: names.head };
  throw new Error(`vector of no known part: ${part}`);
}

function partName(blocks: readonly Partial<Record<BlockPart, PartName>>[], id: string): PartName {
  const parts = partsOf(id);
  const found = parts && Object.entries(blocks[parts.block]).find(([name]) => name === parts.part)?.[1];
  if (!found) throw new Error(`the architecture names no tensor for ${id}`);
  return found;
}

function sourceOf(part: PartName, suffix: string, shape: readonly number[]): TensorSource {
  return { names: [`${part.tensor}${suffix}`], shape, rowRanges: part.fused?.ranges ?? null, offset: 0 };
}

/** Names of the q, k and v of a fused tensor made of three stacked blocks: all queries, all keys, all values. */
export function stackedQkv(
  tensor: string,
  queryRows: number,
  kvRows: number,
): Record<"attn.q" | "attn.k" | "attn.v", PartName> {
  const rows = queryRows + 2 * kvRows;
  const part = (from: number, to: number): PartName => ({ tensor, fused: { rows, ranges: [[from, to]] } });
  return {
    "attn.q": part(0, queryRows),
    "attn.k": part(queryRows, queryRows + kvRows),
    "attn.v": part(queryRows + kvRows, rows),
  };
}

/** Names of the q, k and v of a fused tensor that holds, head after head, the rows [q | k | v] of that head. */
export function interleavedQkv(
  tensor: string,
  heads: number,
  headDim: number,
): Record<"attn.q" | "attn.k" | "attn.v", PartName> {
  const part = (place: number): PartName => ({
    tensor,
    fused: {
      rows: 3 * heads * headDim,
      ranges: Array.from({ length: heads }, (_, h) => {
        const from = (3 * h + place) * headDim;
        return [from, from + headDim] as const;
      }),
    },
  });
  return { "attn.q": part(0), "attn.k": part(1), "attn.v": part(2) };
}
