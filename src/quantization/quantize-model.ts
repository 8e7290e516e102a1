import type { ArtifactWriter } from "../artifact/writer.ts";
import { throwIfAborted } from "../errors.ts";
import type { PackedTensor } from "../model/packed-layout.ts";
import type { WeightSource } from "../model/weight-source.ts";
import type { WorkOptions } from "../progress.ts";
import type { QuantizerId } from "./index.ts";
import { denseMatrix, packMatrix, resolveQuantizer } from "./overlay.ts";
import type { Quantizer } from "./quantizer.ts";

export interface QuantizeModelOptions extends WorkOptions {
  readonly source: WeightSource;
  readonly quantizer: QuantizerId | Quantizer;
  /** Opened for this model and its plan; knows what is written already. */
  readonly writer: ArtifactWriter;
}

/**
 * Writes every weight that the writer still wants, in execution order, one matrix in memory at a time. When stopped it throws
 * Interrupted between two matrices; the caller suspends the writer.
 */
export async function quantizeModel({
  source,
  quantizer,
  writer,
  onProgress,
  signal,
}: QuantizeModelOptions): Promise<void> {
  const total = writer.layout.segments.flat().filter(({ kind }) => kind === "matrix").length;
  const quantize = resolveQuantizer(quantizer);
  const pending = writer.pending;
  let done = total - pending.filter(({ kind }) => kind === "matrix").length;
  for (const tensor of pending) {
    throwIfAborted(signal);
    await writer.write(tensor.name, await storedBytes(source, tensor, quantize));
    if (tensor.kind !== "matrix") continue;
    done++;
    onProgress?.({ stage: "quantizing", done, total, detail: tensor.name });
  }
}

async function storedBytes(source: WeightSource, tensor: PackedTensor, quantizer: Quantizer): Promise<Uint8Array> {
  if (tensor.kind !== "matrix") {
    const vector = await source.readVector(tensor.name);
    return new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
  }
  const matrix = denseMatrix(await source.readMatrix(tensor.name));
  const { rows, cols } = tensor.matrix;
  if (matrix.rows !== rows || matrix.cols !== cols) {
    throw new Error(
      `${source.label}: ${tensor.name} is ${matrix.rows} x ${matrix.cols}, its spec says ${rows} x ${cols}`,
    );
  }
  return packMatrix(tensor.name, matrix, tensor.codec, quantizer).bytes;
}
