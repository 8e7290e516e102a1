import { CODECS } from "../../codecs/index.ts";
import { throwIfAborted, UserError } from "../../errors.ts";
import { type GgufTensorEntry, layoutGguf } from "../../formats/gguf/layout.ts";
import { type GgufTensorType, ggufTensorBytes, isGgufTensorType } from "../../formats/gguf/tensor-types.ts";
import { type GgufPiece, writeGguf } from "../../formats/gguf/writer.ts";
import type { WorkOptions } from "../../progress.ts";
import type { LowRankPart } from "../low-rank.ts";
import type { Matrix, WeightSource } from "../weight-source.ts";
import { llamaMetadata, ropeDivisors } from "./llama-metadata.ts";
import { type LlamaMatrix, llamaMatrices, llamaPlan, llamaVectors } from "./llama-tensors.ts";
import { matrixPieces } from "./matrix-pieces.ts";
import { type ExportedTokenizer, NO_TOKENIZER, tokenizerMetadata } from "./tokenizer-metadata.ts";

export interface ExportGgufOptions extends WorkOptions {
  /** The file to write; it appears when it is complete. */
  readonly file: string;
  /** `general.name` of the file. */
  readonly name: string;
  /** Null: the file has no tokenizer, and programs feed it ids. */
  readonly tokenizer: ExportedTokenizer | null;
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
 * codes and scales, dense ones in F32. Throws UserError GGUF with every reason where the model, the tokenizer or a
 * codec has no such form.
 */
export async function exportGguf(source: WeightSource, options: ExportGgufOptions): Promise<ExportedGguf> {
  const { spec, label } = source;
  const { file, name, onProgress, signal } = options;
  const { block, reasons: ofPlan } = llamaPlan(spec);
  const { entries, reasons: ofTokenizer } = options.tokenizer
    ? tokenizerMetadata(options.tokenizer, spec)
    : NO_TOKENIZER;
  const typed = block === null ? [] : await typedMatrices(source, llamaMatrices(spec, block));
  const ofMatrices = matrixReasons(typed);
  const ofAdapter = adapterReasons(await source.readAdditions?.());
  if (block === null || entries === null || ofMatrices.length > 0 || ofAdapter.length > 0) {
    throw refusal(label, { ofPlan, ofTokenizer, ofMatrices, ofAdapter });
  }
  const metadata = new Map([...llamaMetadata(spec, block, name), ...entries]);
  const parts = vectorParts(source, ropeDivisors(block));
  for (const { matrix, type } of typed) if (type !== null) parts.push(matrixPart(source, matrix, type));
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

function matrixPart(
  source: WeightSource,
  { id, name, rows, cols, pairedHeads }: LlamaMatrix,
  type: GgufTensorType,
): Part {
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

/** The type that holds a matrix's numbers without loss; or null, and what stands in the way. */
type LosslessType =
  | { readonly type: GgufTensorType; readonly found: null }
  | { readonly type: null; readonly found: string };
type TypedMatrix = { readonly matrix: LlamaMatrix } & LosslessType;

async function typedMatrices(source: WeightSource, matrices: readonly LlamaMatrix[]): Promise<TypedMatrix[]> {
  const typed: TypedMatrix[] = [];
  for (const matrix of matrices) typed.push({ matrix, ...typeOf(await source.readMatrix(matrix.id)) });
  return typed;
}

function typeOf(matrix: Matrix): LosslessType {
  if (matrix.kind === "dense") return { type: "F32", found: null };
  const { gguf } = CODECS[matrix.codec];
  const type = gguf !== null && isGgufTensorType(gguf) ? gguf : null;
  if (type && ggufTensorBytes(type, matrix.rows, matrix.cols) !== null) return { type, found: null };
  const found = type ? `${matrix.cols} columns, which are no whole blocks of ${type}` : `codec ${matrix.codec}`;
  return { type: null, found };
}

/** One reason for all matrices that have it in common. */
function matrixReasons(typed: readonly TypedMatrix[]): string[] {
  const ids = new Map<string, string[]>();
  for (const { matrix, found } of typed) if (found !== null) ids.set(found, [...(ids.get(found) ?? []), matrix.id]);
  return [...ids].map(([found, [first, ...others]]) => {
    const which = others.length === 0 ? first : `${first} and ${others.length} more`;
    return `${which}: expected a codec that GGUF has too, found ${found}`;
  });
}

function adapterReasons(additions: readonly LowRankPart[] = []): string[] {
  return additions.length > 0 ? [`adapter: expected none, found one beside ${additions.length} matrices`] : [];
}

/** Every reason in one line, and what would work. */
function refusal(
  label: string,
  reasons: Readonly<Record<"ofPlan" | "ofTokenizer" | "ofMatrices" | "ofAdapter", readonly string[]>>,
): UserError {
  const { ofPlan, ofTokenizer, ofMatrices, ofAdapter } = reasons;
  const all = [...ofPlan, ...ofTokenizer, ...ofMatrices, ...ofAdapter];
  const listed = all.map((reason, i) => `(${i + 1}) ${reason}`).join("; ");
  const said =
    all.length === 1 ? all[0] : `expected a form that GGUF has, found ${all.length} things that it has not: ${listed}`;
  const hints: readonly [readonly string[], string][] = [
    [ofPlan, "only models of the Llama plan can be written as GGUF"],
    [ofTokenizer, "--no-tokenizer leaves the tokenizer out, and programs then give ids"],
    [
      ofMatrices,
      "quantize with q4s-g32, q4a-g32, q5s-g32, q5a-g32 or q8s-g32, whose blocks take columns in 32s, or f16, bf16 or f32",
    ],
    [ofAdapter, "compress the checkpoint with --adapter DIR, which merges the adapter into the weights"],
  ];
  const hint = hints.filter(([found]) => found.length > 0).map(([, text]) => text);
  return new UserError("GGUF", `${label}: ${said}`, hint.join("; "));
}
