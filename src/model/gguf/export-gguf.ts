import { CODECS } from "../../codecs/index.ts";
import { throwIfAborted, UserError } from "../../errors.ts";
import { type GgufTensorEntry, layoutGguf } from "../../formats/gguf/layout.ts";
import { type GgufTensorType, ggufTensorBytes, isGgufTensorType } from "../../formats/gguf/tensor-types.ts";
import { type GgufPiece, writeGguf } from "../../formats/gguf/writer.ts";
import type { WorkOptions } from "../../progress.ts";
import type { TokenizerFiles } from "../tokenizer-files.ts";
import type { Matrix, WeightSource } from "../weight-source.ts";
import { llamaMetadata, ropeDivisors } from "./llama-metadata.ts";
import { type LlamaMatrix, llamaBlock, llamaMatrices, llamaVectors } from "./llama-tensors.ts";
import { matrixPieces } from "./matrix-pieces.ts";
import { NO_TOKENIZER, tokenizerMetadata } from "./tokenizer-metadata.ts";

export interface ExportGgufOptions extends WorkOptions {
  /** The file to write; it appears when it is complete. */
  readonly file: string;
  /** `general.name` of the file. */
  readonly name: string;
  /** Null: the file has no tokenizer, and programs feed it ids. */
  readonly tokenizer: TokenizerFiles | null;
}

/** A written file. */
export interface ExportedGguf {
  readonly file: string;
  readonly bytes: number;
  /** Tensor types in use, with the number of their tensors. */
  readonly types: Readonly<Record<string, number>>;
}

/** A tensor to write and how its bytes are made. */
interface Part extends GgufTensorEntry {
  bytes(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/**
 * Writes weights as a GGUF file for llama.cpp with the same numbers: each matrix in the type that holds its codec's
 * codes and scales, dense ones in F32. Throws UserError GGUF where the model, the tokenizer or a codec has no such
 * form.
 */
export async function exportGguf(source: WeightSource, options: ExportGgufOptions): Promise<ExportedGguf> {
  const { spec, label } = source;
  const { file, name, onProgress, signal } = options;
  const block = llamaBlock(spec, label);
  const tokenizer = options.tokenizer ? tokenizerMetadata(options.tokenizer, spec, label) : NO_TOKENIZER;
  const metadata = new Map([...llamaMetadata(spec, block, name), ...tokenizer]);
  const parts = vectorParts(source, ropeDivisors(block));
  for (const matrix of llamaMatrices(spec, block)) parts.push(await matrixPart(source, matrix));
  const layout = layoutGguf(metadata, parts);

  async function* pieces(): AsyncGenerator<GgufPiece> {
    for (const [done, part] of parts.entries()) {
      onProgress?.({ stage: "writing GGUF", done, total: parts.length, detail: part.name });
      for await (const bytes of part.bytes()) {
        throwIfAborted(signal);
        yield { name: part.name, bytes };
      }
    }
    source.assertIntact?.();
  }
  await writeGguf(file, layout, pieces());
  const types: Record<string, number> = {};
  for (const { type } of parts) types[type] = (types[type] ?? 0) + 1;
  return { file, bytes: layout.totalBytes, types };
}

function vectorParts(source: WeightSource, divisors: Float32Array | null): Part[] {
  const vector = (name: string, length: number, read: () => Promise<Float32Array>): Part => ({
    name,
    type: "F32",
    rows: null,
    cols: length,
    async *bytes() {
      const values = await read();
      yield new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    },
  });
  const parts = llamaVectors(source.spec).map(({ id, name, length }) =>
    vector(name, length, () => source.readVector(id)),
  );
  return divisors ? [...parts, vector("rope_freqs.weight", divisors.length, async () => divisors)] : parts;
}

async function matrixPart(source: WeightSource, { id, name, rows, cols, pairedHeads }: LlamaMatrix): Promise<Part> {
  const type = typeOf(await source.readMatrix(id), `${source.label}: ${id}`);
  const headDim = pairedHeads === 0 ? 0 : rows / pairedHeads;
  return {
    name,
    type,
    rows,
    cols,
    async *bytes() {
      yield* matrixPieces(await source.readMatrix(id), type, headDim);
    },
  };
}

/** The type that holds a matrix's numbers without loss. */
function typeOf(matrix: Matrix, label: string): GgufTensorType {
  if (matrix.kind === "dense") return "F32";
  const { gguf } = CODECS[matrix.codec];
  const type = gguf !== null && isGgufTensorType(gguf) ? gguf : null;
  if (type && ggufTensorBytes(type, matrix.rows, matrix.cols) !== null) return type;
  const found = type ? `${matrix.cols} columns, which are no whole blocks of ${type}` : `codec ${matrix.codec}`;
  throw new UserError(
    "GGUF",
    `${label}: expected a codec that GGUF has too, found ${found}`,
    "quantize with q4s-g32, q4a-g32, q5s-g32, q5a-g32, q8s-g32, f16, bf16 or f32",
  );
}
