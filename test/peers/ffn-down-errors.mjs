// Output error of ffn_down, block by block, in llama.cpp's files and in layerwise's own packing. The measure is handed in.
import { openGguf } from "../../dist/formats/gguf/reader.js";
import { GGUF_READ_TYPES, GGUF_TENSOR_TYPES } from "../../dist/formats/gguf/tensor-types.js";

/**
 * What a measure is given: `weights` and `quantized`, both [rows, cols] in f32, and the statistics of the block's inputs, of a form that only
 * the measure knows. Gives a number that is 0 where both are equal.
 * @typedef {(weights: Float32Array, quantized: Float32Array, statistics: unknown, shape: { rows: number, cols: number }) => number} Measure
 */

/** Bits a weight of a GGUF type, scales included. */
export function bitsOf(type) {
  const { blockBytes, blockValues } = { ...GGUF_TENSOR_TYPES, ...GGUF_READ_TYPES }[type];
  return (8 * blockBytes) / blockValues;
}

const tensorName = (block) => `blk.${block}.ffn_down.weight`;

/**
 * Error of every block's ffn_down in a file of llama-quantize: [{ block, type, bits, error }]. `source` has the original weights;
 * `statisticsOf(block)` what the measure weighs with.
 * @param {{ file: string, source: import("../../dist/model/weight-source.js").WeightSource, statisticsOf: (block: number) => Promise<unknown>, measure: Measure }} request
 */
export async function errorsOfFile({ file, source, statisticsOf, measure }) {
  const gguf = await openGguf(file);
  const results = [];
  try {
    for (let block = 0; block < source.spec.blocks.length; block++) {
      const { type } = gguf.tensors.get(tensorName(block));
      const { rows, cols, data } = await source.readMatrix(`blocks.${block}.mlp.down`);
      const quantized = await gguf.readValues(tensorName(block));
      if (quantized.length !== data.length)
        throw new Error(`${file}: ${tensorName(block)} is not of ${rows} x ${cols}`);
      const error = measure(data, quantized, await statisticsOf(block), { rows, cols });
      results.push({ block, type, bits: bitsOf(type), error });
    }
  } finally {
    await gguf.close();
  }
  return results;
}

/**
 * The same of our own: `quantize(matrix, codec, statistics, block)` gives the values that the packed matrix stands for, [rows, cols] in f32.
 * Bits come from the codec's bytes, padding included.
 */
export async function errorsOfCodec({ codec, source, statisticsOf, measure, quantize }) {
  const results = [];
  for (let block = 0; block < source.spec.blocks.length; block++) {
    const matrix = await source.readMatrix(`blocks.${block}.mlp.down`);
    const { rows, cols, data } = matrix;
    const statistics = await statisticsOf(block);
    const error = measure(data, await quantize(matrix, codec, statistics, block), statistics, { rows, cols });
    results.push({ block, type: codec.id, bits: (8 * codec.packedBytes(rows, cols)) / (rows * cols), error });
  }
  return results;
}

/** Σ over rows of Σ h_j (w - q)², over the rows: the measure that llama-quantize minimises; `statistics` is h, [cols]. */
export function diagonalError(weights, quantized, statistics, { rows, cols }) {
  let sum = 0;
  for (let row = 0, i = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++, i++) sum += statistics[col] * (weights[i] - quantized[i]) ** 2;
  }
  return sum / rows;
}

/** Mean squares of ffn_down's inputs from an importance matrix of llama-imatrix: block -> [cols]. */
export async function readImportance(file, blocks) {
  const gguf = await openGguf(file);
  const means = [];
  for (let block = 0; block < blocks; block++) {
    const sums = await gguf.readValues(`${tensorName(block)}.in_sum2`);
    const [count] = await gguf.readValues(`${tensorName(block)}.counts`);
    means.push(sums.map((sum) => sum / count));
  }
  await gguf.close();
  return means;
}

/** Median over the blocks of ours / theirs, and how many blocks are lower. */
export function compareErrors(ours, theirs) {
  const ratios = ours.map(({ error }, i) => error / theirs[i].error).sort((a, b) => a - b);
  const middle = ratios.length >> 1;
  const median = ratios.length % 2 ? ratios[middle] : (ratios[middle - 1] + ratios[middle]) / 2;
  return { median, lower: ratios.filter((ratio) => ratio < 1).length, blocks: ratios.length };
}
