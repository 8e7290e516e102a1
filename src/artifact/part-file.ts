import { promises as fs } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { fileError, parseJsonBytes, parseWith, readFileBytes, syncFolder, writeFileAtomic } from "../formats/files.ts";
import type { MemorySum } from "../model/memory-sum.ts";
import { hashFile } from "./content-hash.ts";
import { type FileRecord, MANIFEST_NAME, type Manifest, waitingName } from "./manifest.ts";
import { hashedText } from "./manifest-text.ts";
import type { WrittenArtifact } from "./writer.ts";

/**
 * A part of the model that may be added to an artifact that exists: a file beside the weights, and what the manifest
 * says of it.
 */
export interface PartFile {
  readonly name: string;
  /** Null: without it. */
  readonly file: FileRecord | null;
  /** The memory sum with it, of one with another such part or none. */
  memory(before: MemorySum): MemorySum;
  /** Fields of the manifest as they are to stand; undefined: not at all. */
  readonly fields: Readonly<Record<string, unknown>>;
}

/** A part that an artifact gets. */
export interface NewPart {
  readonly name: string;
  /** Writes the file under this name. */
  write(file: string): Promise<void>;
  /** What the manifest says with that file, or without any. */
  part(file: FileRecord | null): PartFile;
}

/**
 * Gives an artifact a part, in place of the one that it has. All other files are left as they are; the manifest, which
 * names the file, is replaced in one step and last. Stopped at any moment, it leaves an artifact that opens and runs:
 * the old one, or (where the old one had such a part) the same without any, for an instant before the new; `verify`
 * names the file that is not of it yet.
 */
export async function putPart(folder: string, manifest: Manifest, part: NewPart): Promise<WrittenArtifact> {
  const waiting = path.join(folder, waitingName(part.name));
  await part.write(waiting);
  const { bytes, sha256 } = await hashFile(waiting);
  const added = part.part({ name: part.name, bytes, sha256 });
  const next = await manifestWith(manifest, folder, [added]);
  // The old manifest vouches for the old file: it may not be there any more when that goes.
  const replaces = manifest.files.some(({ name }) => name === part.name);
  const bare = replaces ? await manifestWith(manifest, folder, [part.part(null)]) : null;
  if (bare) await writeFileAtomic(path.join(folder, MANIFEST_NAME), bare.text);
  await rename(waiting, path.join(folder, part.name));
  await writeFileAtomic(path.join(folder, MANIFEST_NAME), next.text);
  return { folder, manifestSha256: next.sha256, files: filesWith(manifest.files, manifest, added) };
}

/**
 * The manifest's text with parts and their files, or without any: memory sum and list of files as if it had always been
 * so, all else as it stands in the file, so that taking a part away gives the very bytes from before.
 */
export async function manifestWith(
  manifest: Manifest,
  folder: string,
  parts: readonly PartFile[],
): Promise<{ text: string; sha256: string }> {
  const file = path.join(folder, MANIFEST_NAME);
  const { manifestSha256: _, ...fields } = parseWith(Fields, parseJsonBytes(await readFileBytes(file), file), file);
  return hashedText({
    ...fields,
    plan: {
      ...parseWith(Fields, fields.plan, file),
      memory: parts.reduce((memory, part) => part.memory(memory), manifest.plan.memory),
    },
    files: parts.reduce((files, part) => filesWith(files, manifest, part), manifest.files),
    ...Object.assign({}, ...parts.map((part) => part.fields)),
  });
}

/** An object's fields in the order of the file, which the manifest's own schema does not keep. */
const Fields = z.record(z.string(), z.unknown());

/** The artifact's files with another file of a part, or none: weights in order, then the others by name. */
function filesWith(files: readonly FileRecord[], { tensors }: Manifest, { name: part, file }: PartFile): FileRecord[] {
  const isWeights = new Set(tensors.map((tensor) => tensor.file));
  const weights = files.filter(({ name }) => isWeights.has(name));
  const others = files.filter(({ name }) => !isWeights.has(name) && name !== part);
  if (file) others.push(file);
  return [...weights, ...others.sort((a, b) => (a.name < b.name ? -1 : 1))];
}

async function rename(from: string, to: string): Promise<void> {
  try {
    await fs.rename(from, to);
  } catch (error) {
    throw fileError(error, to, "write");
  }
  await syncFolder(path.dirname(to));
}
