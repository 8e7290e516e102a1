import type { Codec, Quantized } from "../codecs/codec.ts";
import type { DenseMatrix } from "../model/weight-source.ts";
import type { NativeEngine } from "../native/addon.ts";
import { codecForm } from "../native/codec-form.ts";
import { quantizeGptqOn } from "./gptq.ts";
import { QUANTIZER_IDS, QUANTIZERS, type QuantizerId, quantizerOf } from "./index.ts";
import { quantizeNearestOn } from "./nearest.ts";
import type { EngineQuantizer, QuantizeOptions, Quantizer } from "./quantizer.ts";
import { quantizeWeightedOn } from "./weighted.ts";

/** Quantizes a matrix, or rows of one, and packs it. Throws as the quantizer and the codec do. */
export type Packer = (matrix: DenseMatrix, codec: Codec, options?: QuantizeOptions) => Promise<Uint8Array>;

const ON_ENGINE: Readonly<Record<QuantizerId, EngineQuantizer>> = {
  nearest: quantizeNearestOn,
  weighted: quantizeWeightedOn,
  gptq: quantizeGptqOn,
};

/**
 * The packer of a quantizer, given by name or itself: on the engine's threads where there is one, else in TypeScript.
 * The bytes do not depend on which. Throws UserError on an unknown name.
 */
export function packerOf(quantizer: QuantizerId | Quantizer, engine?: NativeEngine | null): Packer {
  const quantize = typeof quantizer === "string" ? quantizerOf(quantizer) : quantizer;
  if (!engine) return async (matrix, codec, options) => codec.pack(quantize(matrix, codec, options));
  const id = QUANTIZER_IDS.find((name) => QUANTIZERS[name] === quantize);
  return async (matrix, codec, options) => {
    const quantized = await (id ? ON_ENGINE[id](engine, matrix, codec, options) : quantize(matrix, codec, options));
    return packOn(engine, codec, quantized);
  };
}

async function packOn(engine: NativeEngine, codec: Codec, quantized: Quantized): Promise<Uint8Array> {
  const bytes = new Uint8Array(codec.packedBytes(quantized.rows, quantized.cols));
  await engine.offline.pack(codecForm(codec), quantized, bytes);
  return bytes;
}
