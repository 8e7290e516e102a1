import { TILE_ROWS } from "../../codecs/codec.ts";
import { headMatrixId } from "../../model/decoder-spec.ts";
import { readOutputVectors } from "../../model/output-vectors.ts";
import type { DenseMatrix, WeightSource } from "../../model/weight-source.ts";
import type {
  NativeAnswersRun,
  NativeContext,
  NativeLinear,
  NativeLogitsRun,
  NativeMatrix,
  NativeModel,
  NativeNorm,
} from "../../native/addon.ts";
import type { Residency } from "../executor-info.ts";
import { answersByLogits } from "../head-answers.ts";
import type { ExitHead, ExitTail } from "../heads.ts";
import { OUTPUT_HEAD } from "../heads.ts";
import { Arena } from "./arena.ts";
import { type FloatKind, losslessKind } from "./lossless-kind.ts";
import type { WeightLoader } from "./weights.ts";

/** Limits of a head that the source keeps; none changes the numbers. */
export interface StreamedHeadLimits {
  /** Bytes of a tile in f32; it has a multiple of 16 rows. */
  readonly tileBytes: number;
  /** A head of so many bytes in f32 is kept whole once it was read; of a larger one as many tiles. */
  readonly keptBytes: number;
}
const LIMITS: StreamedHeadLimits = { tileBytes: 16 * 1024 * 1024, keptBytes: 128 * 1024 * 1024 };

/** A head that the engine can multiply with; `call.head` is the name that it has in the model. */
export interface Head {
  /** Logits that it gives of a row. */
  readonly width: number;
  /** Fills the output, [rows, width]. */
  logits(context: NativeContext, model: NativeModel, call: NativeLogitsRun): Promise<unknown>;
  /** Fills the four arrays of answers. */
  answers(context: NativeContext, model: NativeModel, call: NativeAnswersRun): Promise<unknown>;
}

/** What opening the output head leaves behind. */
export interface OpenedOutput {
  readonly head: Head;
  /** The engine's model has the embedding; else rows of it come from the source. */
  readonly embeds: boolean;
}

/**
 * Gives the engine's model the output head and the embedding: in place where they are packed, packed without loss where
 * they are dense and stay. A dense embedding that is not the head is left in the source, as is a dense head that does
 * not stay.
 */
export async function openOutput(
  source: WeightSource,
  loader: WeightLoader,
  model: NativeModel,
  residency: Residency,
  limits: StreamedHeadLimits = LIMITS,
): Promise<OpenedOutput> {
  const { spec } = source;
  const { norm: finalNorm, headBias: bias } = await readOutputVectors(source);
  const norm: NativeNorm = { ...finalNorm, kind: spec.finalNorm.kind, eps: spec.finalNorm.eps };
  const id = headMatrixId(spec);
  if (residency === "streamed")
    return { head: streamedHead(source, loader, model, { norm, bias, limits }), embeds: false };
  const matrix = await source.readMatrix(id);
  if (matrix.kind === "dense" && residency !== "resident") {
    return { head: streamedHead(source, loader, model, { norm, bias, limits }), embeds: false };
  }
  const linear: NativeLinear = { matrix: await loader.matrix(matrix), bias };
  model.setHead(OUTPUT_HEAD, { norm, linear });
  const embedding = spec.tied ? linear.matrix : await untiedEmbedding(source, loader);
  if (embedding) model.setEmbedding(embedding);
  return { head: headInModel(spec.vocabSize), embeds: embedding !== null };
}

/** Gives the engine's model an exit head. */
export async function loadExitHead(
  loader: WeightLoader,
  model: NativeModel,
  name: string,
  { norm, adapter, matrix, bias, tail }: ExitHead,
): Promise<Head> {
  const native: NativeNorm | null = norm && {
    kind: norm.spec.kind,
    eps: norm.spec.eps,
    weight: norm.weight.slice(),
    bias: norm.bias?.slice() ?? null,
  };
  model.setHead(name, {
    norm: native,
    adapter: adapter && { down: await loader.matrix(adapter.down), up: await loader.matrix(adapter.up) },
    linear: { matrix: await loader.matrix(matrix), bias: bias?.slice() ?? null },
    tail: tail && (await tailOf(loader, tail)),
  });
  return headInModel(matrix.rows + (tail ? 1 : 0));
}

/** A matrix of one row. */
async function tailOf(loader: WeightLoader, { weight, bias }: ExitTail): Promise<NativeLinear> {
  const row: DenseMatrix = { kind: "dense", rows: 1, cols: weight.length, data: weight };
  return { matrix: await loader.packed(row, "f32"), bias: Float32Array.of(bias) };
}

/** A packed embedding costs nothing to keep; of a dense one few rows are needed, and the source reads those. */
async function untiedEmbedding(source: WeightSource, loader: WeightLoader) {
  const matrix = await source.readMatrix("embedding");
  return matrix.kind === "packed" ? loader.matrix(matrix) : null;
}

/** A head that the engine's model has whole. */
export function headInModel(width: number): Head {
  return {
    width,
    logits: (context, model, call) => context.logits(model, call),
    answers: (context, model, call) => context.answers(model, call),
  };
}

interface StreamedHeadParts {
  readonly norm: NativeNorm | null;
  readonly bias: Float32Array | null;
  readonly limits: StreamedHeadLimits;
}

/**
 * A head that the source keeps: read by the first call and kept whole where it is small, else a tile of its rows at a
 * time.
 */
function streamedHead(source: WeightSource, loader: WeightLoader, model: NativeModel, parts: StreamedHeadParts): Head {
  const { norm, bias, limits } = parts;
  const { vocabSize: ids, hiddenSize } = source.spec;
  const tiled = tiledHead(source, loader, model, parts);
  if (4 * ids * hiddenSize > limits.keptBytes) return tiled;
  let whole: Promise<boolean> | null = null;
  const setWhole = async (): Promise<boolean> => {
    const matrix = await wholeHead(source, loader, limits);
    if (matrix) model.setHead(OUTPUT_HEAD, { norm, linear: { matrix, bias } });
    return matrix !== null;
  };
  const usable = async (): Promise<Head> => {
    whole ??= setWhole();
    // A read that failed is tried again by the next call.
    const isSet = await whole.catch((error: unknown) => {
      whole = null;
      throw error;
    });
    return isSet ? headInModel(ids) : tiled;
  };
  return {
    width: ids,
    logits: async (context, _model, call) => (await usable()).logits(context, model, call),
    answers: async (context, _model, call) => (await usable()).answers(context, model, call),
  };
}

/** The head as one matrix, read a tile at a time; null where its tiles do not all have the same lossless kind. */
async function wholeHead(
  source: WeightSource,
  loader: WeightLoader,
  { tileBytes }: StreamedHeadLimits,
): Promise<NativeMatrix | null> {
  const { vocabSize: rows, hiddenSize: cols } = source.spec;
  const id = headMatrixId(source.spec);
  const step = tileRows(cols, tileBytes);
  let whole: NativeMatrix | null = null;
  let kind: FloatKind | null = null;
  let at = 0;
  for (let from = 0; from < rows; from += step) {
    const to = Math.min(rows, from + step);
    const data = await source.readRows(id, from, to);
    kind ??= losslessKind(data);
    if (losslessKind(data) !== kind) return null;
    whole ??= loader.emptyMatrix(rows, cols, kind);
    at += await loader.packRows({ kind: "dense", rows: to - from, cols, data }, kind, whole.bytes.subarray(at));
  }
  return whole;
}

/** The output head a tile of its rows at a time; tiles beyond `keptBytes` are read anew for every call. */
function tiledHead(
  source: WeightSource,
  loader: WeightLoader,
  model: NativeModel,
  { norm, bias, limits }: StreamedHeadParts,
): Head {
  const { vocabSize: ids, hiddenSize } = source.spec;
  const id = headMatrixId(source.spec);
  const step = tileRows(hiddenSize, limits.tileBytes);
  const arena = new Arena();
  const kept = new Map<number, NativeMatrix>();
  let keptBytes = 0;
  const tileAt = async (from: number, to: number): Promise<NativeMatrix> => {
    const known = kept.get(from);
    if (known) return known;
    arena.reset();
    const data = await source.readRows(id, from, to);
    const stays = keptBytes + data.byteLength <= limits.keptBytes;
    const matrix = await loader.matrix(
      { kind: "dense", rows: to - from, cols: hiddenSize, data },
      stays ? null : arena,
    );
    if (!stays) return matrix;
    kept.set(from, matrix);
    keptBytes += matrix.bytes.byteLength;
    return matrix;
  };
  const useTile = async (from: number, to: number) => {
    const matrix = await tileAt(from, to);
    model.setHead(OUTPUT_HEAD, { norm, linear: { matrix, bias: bias?.slice(from, to) ?? null } });
    return OUTPUT_HEAD;
  };
  const ranges = Array.from({ length: Math.ceil(ids / step) }, (_, tile) => {
    const [from, to] = [tile * step, Math.min(ids, (tile + 1) * step)];
    return { from, to, use: () => useTile(from, to) };
  });
  return headByRows(ids, ranges);
}

/** Rows [from, to) of a head; `use` makes the model have them as a head of their own, and says under which name. */
interface HeadRows {
  readonly from: number;
  readonly to: number;
  use(): Promise<string>;
}

/** A head of so many ids of which the model has some rows at a time. */
export function headByRows(ids: number, ranges: readonly HeadRows[]): Head {
  const logitsOf: (context: NativeContext, model: NativeModel, call: NativeLogitsRun) => Promise<void> = async (
    context,
    model,
    { output, ...call },
  ) => {
    for (const { from, to, use } of ranges) {
      const part = new Float32Array(call.rows.length * (to - from));
      await context.logits(model, { ...call, head: await use(), output: part });
      placeColumns(part, to - from, output, ids, from);
    }
  };
  return {
    width: ids,
    logits: logitsOf,
    // The engine sees no row's logits as a whole: the slow twin does.
    answers: (context, model, { best, entropy, maxProbability, margin, ...call }) =>
      answersByLogits(call.rows, ids, { best, entropy, maxProbability, margin }, async (rows) => {
        const output = new Float32Array(rows.length * ids);
        await logitsOf(context, model, { ...call, rows, output });
        return output;
      }),
  };
}

/** Rows of a tile. */
function tileRows(cols: number, tileBytes: number): number {
  return Math.max(TILE_ROWS, Math.floor(tileBytes / 4 / cols / TILE_ROWS) * TILE_ROWS);
}

/** Writes `part`, [rows, width], as columns `first` and on of `whole`, [rows, columns]. */
function placeColumns(part: Float32Array, width: number, whole: Float32Array, columns: number, first: number): void {
  for (let row = 0; row * width < part.length; row++) {
    whole.set(part.subarray(row * width, (row + 1) * width), row * columns + first);
  }
}
