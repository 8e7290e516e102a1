import type { Codec } from "../codecs/codec.ts";
import { CODECS } from "../codecs/index.ts";
import type { SafetensorsLayout } from "../formats/safetensors/layout.ts";
import { adapterFileLayout } from "../model/adapter-bytes.ts";
import type { DecoderSpec } from "../model/decoder-spec.ts";
import { exitFileLayout } from "../model/exit-bytes.ts";
import { type PackedFile, type PackedLayout, type PackedTensor, packedLayout } from "../model/packed-layout.ts";
import { ADAPTER_NAME, EXITS_NAME, type Manifest, type TensorRecord } from "./manifest.ts";
import type { Plan } from "./plan.ts";

/** A tensor's record without its hash: what spec and plan alone say. */
export type TensorPlace = TensorRecord extends infer R ? (R extends TensorRecord ? Omit<R, "sha256"> : never) : never;

/** The weights files that a plan leads to. A plan that lacks a matrix, or names one twice or too much, is a bug. */
export function planLayout(spec: DecoderSpec, plan: Plan, maxFileBytes: number): PackedLayout {
  const codecs = new Map(plan.units.map(({ id, codec }) => [id, codec]));
  const layout = packedLayout(spec, codecs, maxFileBytes);
  const matrices = layout.segments.flat().filter(({ kind }) => kind === "matrix");
  if (matrices.length !== plan.units.length) {
    throw new Error(`plan: expected ${matrices.length} units, one a matrix, found ${plan.units.length}`);
  }
  return layout;
}

/** The files of what was added to the weights; null: the artifact has no such part. */
export function partLayouts({
  spec,
  exits,
  adapter,
}: Manifest): readonly { readonly name: string; readonly layout: SafetensorsLayout | null }[] {
  return [
    { name: EXITS_NAME, layout: exits && exitFileLayout(spec, exits) },
    { name: ADAPTER_NAME, layout: adapter ? adapterFileLayout(spec, adapter) : null },
  ];
}

/** Every tensor of the weights files in order, as the manifest records it. */
export function tensorPlaces(layout: PackedLayout): TensorPlace[] {
  return layout.files.flatMap((file) => file.tensors.map((tensor) => placeOf(file, tensor)));
}

function placeOf(file: PackedFile, tensor: PackedTensor): TensorPlace {
  const { name, bytes } = tensor;
  const info = file.layout.tensors.get(name);
  if (!info) throw new Error(`${file.name}: tensor ${name} is not laid out`);
  const place = { name, file: file.name, offset: file.layout.dataOffset + info.begin, bytes };
  if (tensor.kind === "matrix") {
    const { rows, cols } = tensor.matrix;
    return { kind: "matrix", ...place, codec: tensor.codec, rows, cols };
  }
  if (tensor.kind === "vector") return { kind: "vector", ...place, length: tensor.length };
  return { kind: "padding", ...place };
}

/** The codecs that occur, in the table's words. */
export function codecRecords(layout: PackedLayout): Manifest["codecs"] {
  const ids = new Set(layout.segments.flat().flatMap((tensor) => (tensor.kind === "matrix" ? [tensor.codec] : [])));
  return Object.fromEntries([...ids].sort().map((id) => [id, codecRecord(CODECS[id])]));
}

/** What a reader without our table needs; f16 scales, no table and all levels stored go without saying. */
function codecRecord({ bits, group, scheme, scaleKind, levels, kept }: Codec): Manifest["codecs"][string] {
  return {
    bits,
    group,
    scheme,
    ...(scaleKind === "two-level" ? { scales: scaleKind } : {}),
    ...(scheme === "table" && levels ? { levels: [...levels] } : {}),
    ...(kept ? { kept } : {}),
  };
}
