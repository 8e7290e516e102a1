import { isDeepStrictEqual } from "node:util";
import { UserError } from "../errors.ts";
import type { SafetensorsLayout } from "../formats/safetensors/layout.ts";
import { layoutMemory } from "../model/memory.ts";
import type { PackedLayout } from "../model/packed-layout.ts";
import { checkAdapterTable } from "./adapter/check.ts";
import { badArtifact } from "./artifact-error.ts";
import { codecRecords, partLayouts, planLayout, tensorPlaces } from "./artifact-layout.ts";
import { checkExits } from "./exits/check.ts";
import type { Manifest } from "./manifest.ts";
import { checkSpec } from "./spec-check.ts";

/**
 * The weights files that a manifest must have, from its spec and plan alone, after checking that all it says of
 * tensors, files and codecs agrees. Throws UserError naming the first thing that does not.
 */
export function checkManifest(manifest: Manifest, label: string): PackedLayout {
  checkSpec(manifest.spec, label);
  const layout = layoutOf(manifest, label);
  checkTensors(manifest, layout, label);
  if (manifest.exits) checkExits(manifest.spec, manifest.exits, label);
  if (manifest.adapter) checkAdapterTable(manifest.spec, manifest.adapter, label);
  checkFiles(manifest, layout, label);
  if (!isDeepStrictEqual(manifest.codecs, codecRecords(layout))) {
    throw badArtifact(label, "codecs: expected the description of exactly the codecs in use, found another");
  }
  const { spec, plan, exits, adapter } = manifest;
  const { fileBytes } = layoutMemory(spec, layout, { ...plan.memory, exits, adapter });
  if (plan.memory.fileBytes !== fileBytes) {
    throw badArtifact(label, `memory: expected ${fileBytes} bytes of weights, found ${plan.memory.fileBytes}`);
  }
  return layout;
}

/**
 * The layout that spec and plan lead to. What they say is not ours here, so that whatever is wrong with it is the
 * file's fault.
 */
function layoutOf({ spec, plan, maxFileBytes }: Manifest, label: string): PackedLayout {
  const layout = attempt(() => planLayout(spec, plan, maxFileBytes), label);
  const bytes = new Map(layout.segments.flat().map((tensor) => [tensor.name, tensor.bytes]));
  const wrong = plan.units.find((unit) => bytes.get(unit.id) !== unit.bytes);
  if (wrong) throw badArtifact(label, `plan: ${wrong.id}: expected ${bytes.get(wrong.id)} bytes, found ${wrong.bytes}`);
  return layout;
}

function attempt<T>(compute: () => T, label: string): T {
  try {
    return compute();
  } catch (error) {
    if (error instanceof UserError) throw new UserError(error.code, `${label}: ${error.message}`, error.hint);
    throw badArtifact(label, `plan and spec: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function checkTensors({ tensors }: Manifest, layout: PackedLayout, label: string): void {
  const places = tensorPlaces(layout);
  if (tensors.length !== places.length) {
    throw badArtifact(label, `tensors: expected ${places.length}, found ${tensors.length}`);
  }
  places.forEach((place, i) => {
    const { sha256: _, ...found } = tensors[i];
    if (isDeepStrictEqual(found, place)) return;
    throw badArtifact(label, `tensors.${i}: expected ${JSON.stringify(place)}, found ${JSON.stringify(found)}`);
  });
}

function checkFiles(manifest: Manifest, layout: PackedLayout, label: string): void {
  const { files } = manifest;
  layout.files.forEach(({ name, layout: { totalBytes } }, i) => {
    const found = files[i];
    if (found?.name === name && found.bytes === totalBytes) return;
    const text = found ? `${found.name} of ${found.bytes} bytes` : "none";
    throw badArtifact(label, `files.${i}: expected ${name} of ${totalBytes} bytes, found ${text}`);
  });
  for (const part of partLayouts(manifest)) checkPart(files, part.name, part.layout, label);
  const names = files.map(({ name }) => name);
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw badArtifact(label, `files: expected each name once, found ${twice} twice`);
}

/** The file of a part must be there exactly where the manifest has the part, of the size that it leads to. */
function checkPart(files: Manifest["files"], name: string, layout: SafetensorsLayout | null, label: string): void {
  const expected = layout?.totalBytes ?? null;
  const found = files.find((file) => file.name === name)?.bytes ?? null;
  if (found === expected) return;
  const text = (bytes: number | null) => (bytes === null ? `no ${name}` : `${name} of ${bytes} bytes`);
  throw badArtifact(label, `files: expected ${text(expected)}, found ${text(found)}`);
}
