import { CODECS, type CodecId, codecIdOf } from "../codecs/index.ts";
import { roundUp } from "../codecs/tile.ts";
import { layoutSafetensors, type SafetensorsLayout } from "../formats/safetensors/layout.ts";
import { type DecoderSpec, type MatrixInfo, matricesOf, type VectorInfo, vectorsOf } from "./decoder-spec.ts";

/** Alignment of the data in a file and of every block in it: a memory page, so that a block can be mapped by itself. */
const BLOCK_ALIGN = 4096;
/** Every tensor's length is rounded up to this inside the tensor: one cache line, one AVX-512 register. */
const TENSOR_ALIGN = 64;
/** Largest weights file: some tools and file systems stop at 2 GiB. A single larger segment has a file of its own. */
export const MAX_FILE_BYTES = 2 ** 31;
/** Bytes of a tensor's entry in a header beside its name, at most: dtype, shape and offsets up to 2^53. */
const MAX_ENTRY_BYTES = 128;

/** A tensor of the weights files. `bytes` is what it takes there, `contentBytes` what of it is not padding. */
export type PackedTensor = {
  readonly name: string;
  readonly bytes: number;
  readonly contentBytes: number;
} & (
  | { readonly kind: "matrix"; readonly matrix: MatrixInfo; readonly codec: CodecId }
  | { readonly kind: "vector"; readonly length: number }
  | { readonly kind: "padding" }
);

/** Tensors that stay together, padded to BLOCK_ALIGN: the embedding, one block, or the final norm with the head. */
type PackedSegment = readonly PackedTensor[];

/** One weights file. */
export interface PackedFile {
  readonly name: string;
  /** Numbers of its segments, [from, to). */
  readonly segmentFrom: number;
  readonly segmentTo: number;
  readonly tensors: readonly PackedTensor[];
  readonly layout: SafetensorsLayout;
}

/** The weights files of an artifact, known to the byte before anything is written. */
export interface PackedLayout {
  readonly segments: readonly PackedSegment[];
  readonly files: readonly PackedFile[];
}

/**
 * The exact weights files of a model under a choice of codecs: segments in execution order, in each first the vectors,
 * then the matrices, then zero bytes to a page. Pure. A matrix without a codec is a bug.
 */
export function packedLayout(
  spec: DecoderSpec,
  codecs: ReadonlyMap<string, string>,
  maxFileBytes = MAX_FILE_BYTES,
): PackedLayout {
  const segments = packedSegments(spec, codecs);
  const parts = splitSegments(segments, maxFileBytes);
  const files = parts.map(([segmentFrom, segmentTo], i) => {
    const tensors = segments.slice(segmentFrom, segmentTo).flat();
    const number = (n: number) => String(n).padStart(5, "0");
    const name = `weights-${number(i + 1)}-of-${number(parts.length)}.safetensors`;
    return { name, segmentFrom, segmentTo, tensors, layout: fileLayout(tensors) };
  });
  return { segments, files };
}

/** What of a segment does not depend on codecs. Its bytes: vectors and packed matrices, rounded up to `align`. */
export interface SegmentShape {
  readonly matrices: readonly MatrixInfo[];
  readonly vectorBytes: number;
  readonly align: number;
}

/** The segments of a model's weights files, in order; what they take beside them is the files' headers. */
export function segmentShapes(spec: DecoderSpec): SegmentShape[] {
  const last = spec.blocks.length + 1;
  return Array.from({ length: last + 1 }, (_, segment) => ({
    matrices: matricesOf(spec).filter((matrix) => segmentOf(spec, matrix) === segment),
    vectorBytes: vectorsOf(spec)
      .filter((vector) => segmentOf(spec, vector) === segment)
      .reduce((sum, vector) => sum + vectorTensor(vector).bytes, 0),
    align: segment === last ? 1 : BLOCK_ALIGN,
  }));
}

/** Number of the segment: the embedding is alone, then each block, then what follows the blocks. */
function segmentOf(spec: DecoderSpec, { id, block }: { id: string; block: number | null }): number {
  return id === "embedding" ? 0 : block === null ? spec.blocks.length + 1 : block + 1;
}

function packedSegments(spec: DecoderSpec, codecs: ReadonlyMap<string, string>): PackedSegment[] {
  const segments: PackedTensor[][] = Array.from({ length: spec.blocks.length + 2 }, () => []);
  for (const vector of vectorsOf(spec)) segments[segmentOf(spec, vector)].push(vectorTensor(vector));
  for (const matrix of matricesOf(spec)) segments[segmentOf(spec, matrix)].push(matrixTensor(matrix, codecs));
  return segments.map((tensors, i) => {
    const padding = i === spec.blocks.length + 1 ? [] : paddingTensor(i === 0 ? "embedding" : String(i - 1), tensors);
    return [...tensors, ...padding];
  });
}

function vectorTensor({ id, length }: VectorInfo): PackedTensor {
  return { kind: "vector", name: id, length, contentBytes: 4 * length, bytes: roundUp(4 * length, TENSOR_ALIGN) };
}

function matrixTensor(matrix: MatrixInfo, codecs: ReadonlyMap<string, string>): PackedTensor {
  const id = codecs.get(matrix.id);
  if (id === undefined) throw new Error(`matrix ${matrix.id} has no codec`);
  const codec = codecIdOf(id);
  const parts = CODECS[codec].packedParts(matrix.rows, matrix.cols);
  const contentBytes = parts.levels + parts.scales;
  return { kind: "matrix", name: matrix.id, matrix, codec, contentBytes, bytes: contentBytes + parts.padding };
}

/** Zero bytes up to the next page; no tensor where none are needed. */
function paddingTensor(name: string, tensors: readonly PackedTensor[]): PackedTensor[] {
  const used = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
  const bytes = roundUp(used, BLOCK_ALIGN) - used;
  return bytes === 0 ? [] : [{ kind: "padding", name: `pad.${name}`, contentBytes: 0, bytes }];
}

/** Segments [from, to) of each file, cut where the next segment would not fit. */
function splitSegments(segments: readonly PackedSegment[], maxFileBytes: number): [number, number][] {
  const parts: [number, number][] = [];
  let from = 0;
  let dataBytes = 0;
  let headerBytes = BLOCK_ALIGN;
  segments.forEach((tensors, i) => {
    const data = tensors.reduce((sum, { bytes }) => sum + bytes, 0);
    const header = tensors.reduce((sum, { name }) => sum + name.length + MAX_ENTRY_BYTES, 0);
    if (i > from && roundUp(headerBytes + header, BLOCK_ALIGN) + dataBytes + data > maxFileBytes) {
      parts.push([from, i]);
      from = i;
      dataBytes = 0;
      headerBytes = BLOCK_ALIGN;
    }
    dataBytes += data;
    headerBytes += header;
  });
  return [...parts, [from, segments.length]];
}

function fileLayout(tensors: readonly PackedTensor[]): SafetensorsLayout {
  const entries = tensors.map(({ kind, name, bytes }) =>
    kind === "vector"
      ? { name, dtype: "F32" as const, shape: [bytes / 4] }
      : { name, dtype: "U8" as const, shape: [bytes] },
  );
  return layoutSafetensors(entries, { metadata: { format: "layerwise", version: "2" }, dataAlign: BLOCK_ALIGN });
}
