import type { ArtifactWriter } from "../artifact/writer.ts";
import { TILE_ROWS } from "../codecs/codec.ts";
import { CODECS } from "../codecs/index.ts";
import { throwIfAborted } from "../errors.ts";
import type { PackedTensor } from "../model/packed-layout.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import type { WorkOptions } from "../progress.ts";
import type { QuantizerId } from "./index.ts";
import { type Packer, packerOf } from "./packer.ts";
import type { Quantizer } from "./quantizer.ts";

/** Enough to be fast; a whole matrix could be too much: an embedding can be larger than all blocks together. */
const BAND_WEIGHTS = 4 * 1024 * 1024;

export interface QuantizeModelOptions extends WorkOptions {
  readonly source: WeightSource;
  readonly quantizer: QuantizerId | Quantizer;
  /** Computes where it is given; the bytes are the same without. */
  readonly engine?: NativeEngine | null | undefined;
  /** Opened for this model and its plan; knows what is written already. */
  readonly writer: ArtifactWriter;
  /** Weights in memory at a time, 4 Mi (16 MiB in f32) by default; at least 16 rows are. */
  readonly bandWeights?: number | undefined;
}

/**
 * Writes every weight that the writer still wants, in execution order, a band of rows of one matrix in memory at a
 * time. When stopped it throws Interrupted between two bands; the caller suspends the writer.
 */
export async function quantizeModel(options: QuantizeModelOptions): Promise<void> {
  const { writer, onProgress, signal } = options;
  const total = writer.layout.segments.flat().filter(({ kind }) => kind === "matrix").length;
  const packer = packerOf(options.quantizer, options.engine);
  const pending = writer.pending;
  let done = total - pending.filter(({ kind }) => kind === "matrix").length;
  for (const tensor of pending) {
    throwIfAborted(signal);
    await writer.write(tensor.name, await storedBytes(options, tensor, packer));
    if (tensor.kind !== "matrix") continue;
    done++;
    onProgress?.({ stage: "quantizing", done, total, detail: tensor.name });
  }
}

async function storedBytes(options: QuantizeModelOptions, tensor: PackedTensor, packer: Packer) {
  if (tensor.kind === "matrix") return packBands(options, tensor, packer);
  const vector = await options.source.readVector(tensor.name);
  return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/**
 * Packs whole tiles at a time: rows do not depend on each other, so that the bands' bytes together are the matrix's.
 */
async function packBands(
  { source, signal, bandWeights = BAND_WEIGHTS }: QuantizeModelOptions,
  { name, bytes, codec, matrix: { rows, cols } }: Extract<PackedTensor, { kind: "matrix" }>,
  packer: Packer,
): Promise<Uint8Array> {
  const packed = new Uint8Array(bytes);
  const bandRows = Math.max(1, Math.floor(bandWeights / cols / TILE_ROWS)) * TILE_ROWS;
  for (let from = 0, at = 0; from < rows; from += bandRows) {
    throwIfAborted(signal);
    const to = Math.min(rows, from + bandRows);
    const band = { kind: "dense" as const, rows: to - from, cols, data: await source.readRows(name, from, to) };
    if (band.data.length !== band.rows * cols) {
      throw new Error(`${source.label}: ${name}: ${band.data.length} weights in ${band.rows} rows of ${cols}`);
    }
    const part = await packer(band, CODECS[codec], { label: name, firstRow: from });
    packed.set(part, at);
    at += part.length;
  }
  return packed;
}
