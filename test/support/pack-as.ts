import { plainMaths } from "../../src/maths/plain/plain-maths.ts";
import type { QuantizerId } from "../../src/quantization/index.ts";
import { type MatrixTransform, packMatrix } from "../../src/quantization/overlay.ts";
import { packerOf } from "../../src/quantization/packer.ts";
import type { Quantizer } from "../../src/quantization/quantizer.ts";

/** A transform that stores each matrix by the codec that `codecFor` names; null leaves the matrix alone. */
export function packAs(codecFor: (id: string) => string | null, quantizer: QuantizerId | Quantizer): MatrixTransform {
  const packer = packerOf(plainMaths, quantizer);
  return (id, matrix) => {
    const codecId = codecFor(id);
    return codecId === null ? null : packMatrix(id, matrix, codecId, packer);
  };
}
