import type { ArtifactWriter } from "../artifact/writer.ts";
import { throwIfAborted } from "../errors.ts";
import type { Maths } from "../maths/maths.ts";
import type { PackedTensor } from "../model/packed-layout.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { WorkOptions } from "../progress.ts";
import { keepingRows } from "./bands.ts";
import type { QuantizerId } from "./index.ts";
import { packBands } from "./pack-bands.ts";
import { type Packer, packerOf } from "./packer.ts";
import type { Quantizer } from "./quantizer.ts";
import { checkRange } from "./range-check.ts";

export interface QuantizeModelOptions extends WorkOptions {
  readonly source: WeightSource;
  readonly quantizer: QuantizerId | Quantizer;
  readonly maths: Maths;
  /** Opened for this model and its plan; knows what is written already. */
  readonly writer: ArtifactWriter;
  /**
   * The model packed already, at the plan's codecs (a library): its matrices and vectors are copied, and nothing is
   * quantized.
   */
  readonly packed?: WeightSource | undefined;
  /** Weights in memory at a time, 4 Mi (16 MiB in f32) by default; at least 16 rows are. */
  readonly bandWeights?: number | undefined;
}

/**
 * Writes every weight that the writer still wants, in execution order, a band of rows of one matrix in memory at a
 * time. Throws UserError WEIGHTS_RANGE for weights that a codec cannot hold. When stopped it throws Interrupted between
 * two bands; the caller suspends the writer.
 */
export async function quantizeModel(options: QuantizeModelOptions): Promise<void> {
  const { writer, onProgress, signal } = options;
  const total = writer.layout.segments.flat().filter(({ kind }) => kind === "matrix").length;
  const packer = packerOf(options.maths, options.quantizer);
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

async function storedBytes(options: QuantizeModelOptions, tensor: PackedTensor, packer: Packer): Promise<Uint8Array> {
  const { source, packed, maths, signal, bandWeights } = options;
  if (tensor.kind !== "matrix") {
    const vector = await (packed ?? source).readVector(tensor.name);
    return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  }
  const { name: id, codec, matrix } = tensor;
  const shape = { rows: matrix.rows, cols: matrix.cols };
  const bands = { source: keepingRows(source), id, ...shape, codec, bandWeights, signal };
  await checkRange({ ...bands, maths });
  if (!packed) return (await packBands({ ...bands, packer })).bytes;
  const found = await packed.readMatrix(id);
  if (found.kind !== "packed" || found.codec !== codec || found.rows !== shape.rows || found.cols !== shape.cols) {
    throw new Error(`${packed.label}: ${id}: not packed as the plan says`);
  }
  return found.bytes;
}
