// Output error of one block's ffn_down in llama.cpp's files and in layerwise's own packing, under second moments of the
// matrix's inputs.
import { CODECS } from "../../dist/codecs/index.js";
import { GGUF_TENSOR_TYPES } from "../../dist/formats/gguf/tensor-types.js";
import { QUANTIZERS } from "../../dist/quantization/index.js";
import { packerOf } from "../../dist/quantization/packer.js";
import { prepareInput } from "../../dist/quantization/quantizer-input.js";
import { GGUF_READ_TYPES, openGguf } from "./gguf-reader.mjs";

const tensorName = (block) => `blk.${block}.ffn_down.weight`;

/** Bits a weight of a GGUF type, scales included. */
function bitsOf(type) {
  const { blockBytes, blockValues } = { ...GGUF_TENSOR_TYPES, ...GGUF_READ_TYPES }[type];
  return (8 * blockBytes) / blockValues;
}

/**
 * What quantized values of a matrix cost in its output. `grams`: { name: [cols, cols] }, each the mean of x^T x over
 * some text. Gives
 * { name: { full, diagonal } }: the mean squared error of an output over the text, and its part on the diagonal, Σ
 * E[x_j²] (w_j - q_j)², which is what llama-quantize minimises.
 */
export async function errorsUnder(maths, grams, { rows, cols, data }, values) {
  const errors = {};
  for (const [name, gram] of Object.entries(grams)) {
    const full = await maths.hessianError({ w: data, values, gram, rows, cols });
    errors[name] = { full, diagonal: diagonalError(data, values, gram, { rows, cols }) };
  }
  return errors;
}

function diagonalError(weights, values, gram, { rows, cols }) {
  let sum = 0;
  for (let row = 0, i = 0; row < rows; row++) {
    for (let col = 0; col < cols; col++, i++) sum += gram[col * (cols + 1)] * (weights[i] - values[i]) ** 2;
  }
  return sum / rows;
}

/**
 * Opens a file of llama-quantize that must hold every ffn_down in the wanted type: `{ bits, valuesOf(block), close()
 * }`.
 */
export async function openTheirs(file, type) {
  const gguf = await openGguf(file);
  const valuesOf = async (block) => {
    const found = gguf.tensors.get(tensorName(block))?.type;
    if (found !== type) throw new Error(`${file}: ${tensorName(block)}: expected ${type}, found ${found}`);
    return gguf.readValues(tensorName(block));
  };
  return { bits: bitsOf(type), valuesOf, close: () => gguf.close() };
}

/**
 * Makes a packer of ours for a matrix whose inputs have the given statistics: (codec, quantizer) -> { bits, values }.
 * What a quantizer needs of the inputs is prepared once. Bits come from the codec's bytes, padding included.
 */
export function ourValues(maths, matrix, statistics) {
  const prepared = new Map();
  return async (id, quantizer) => {
    const codec = CODECS[id];
    const { needs } = QUANTIZERS[quantizer];
    if (!prepared.has(needs)) prepared.set(needs, await prepareInput(maths, statistics, needs));
    const { rows, cols } = matrix;
    const bytes = await packerOf(maths, quantizer)(matrix, codec, { input: prepared.get(needs) });
    const values = codec.unpackRows({ rows, cols, bytes }, 0, rows);
    return { bits: (8 * bytes.length) / (rows * cols), values };
  };
}
