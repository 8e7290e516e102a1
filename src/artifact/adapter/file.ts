import path from "node:path";
import type { SafetensorsFile } from "../../formats/safetensors/reader.ts";
import { type TensorPiece, writeSafetensors } from "../../formats/safetensors/writer.ts";
import { type AdapterDtype, adapterFileLayout } from "../../model/adapter-bytes.ts";
import { countNonFinite } from "../../model/checkpoint.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import type { LowRankPart } from "../../model/low-rank.ts";
import { idOf } from "../../model/matrix-id.ts";
import { f32ToF16Array } from "../../tensor/half.ts";
import { badArtifact } from "../artifact-error.ts";
import { readChecked } from "../header-check.ts";
import { ADAPTER_NAME } from "../manifest.ts";
import type { AdapterTable } from "./table.ts";

/** Writes an adapter's file, complete or not at all; the same parts give the same bytes. */
export async function writeAdapterFile(
  file: string,
  spec: DecoderSpec,
  dtype: AdapterDtype,
  parts: readonly LowRankPart[],
): Promise<void> {
  const pieces = parts.flatMap(({ block, role, a, b }): TensorPiece[] => [
    { name: `${idOf(block, role)}.a`, bytes: stored(a, dtype) },
    { name: `${idOf(block, role)}.b`, bytes: stored(b, dtype) },
  ]);
  await writeSafetensors(file, adapterFileLayout(spec, { dtype, parts }), pieces);
}

function stored(numbers: Float32Array, dtype: AdapterDtype): Uint8Array {
  const { buffer, byteOffset, byteLength } = dtype === "F16" ? f32ToF16Array(numbers) : numbers;
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/**
 * Reads a folder's `adapter.safetensors` and checks header and numbers. Throws UserError, naming the tensor, for
 * numbers that are not finite.
 */
export async function readAdapterFile(folder: string, spec: DecoderSpec, table: AdapterTable): Promise<LowRankPart[]> {
  return readChecked(path.join(folder, ADAPTER_NAME), adapterFileLayout(spec, table), async (file) => {
    const parts: LowRankPart[] = [];
    for (const part of table.parts) {
      const id = idOf(part.block, part.role);
      parts.push({ ...part, a: await readFactor(file, `${id}.a`), b: await readFactor(file, `${id}.b`) });
    }
    return parts;
  });
}

async function readFactor(file: SafetensorsFile, name: string): Promise<Float32Array> {
  const numbers = await file.readF32(name);
  const bad = countNonFinite(numbers);
  if (bad === 0) return numbers;
  throw badArtifact(file.label, `tensor ${name}: expected finite numbers, found ${bad} that are not`);
}
