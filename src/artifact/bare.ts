import path from "node:path";
import { removeFile, writeFileAtomic } from "../formats/files.ts";
import { adapterPart } from "./adapter/add.ts";
import { exitsPart } from "./exits/add.ts";
import { MANIFEST_NAME, type Manifest } from "./manifest.ts";
import { manifestWith } from "./part-file.ts";
import { readManifest } from "./reader.ts";

/**
 * The hash of an artifact's manifest as it was before it got an adapter and exits: names its packed weights. Its own
 * where it has neither. Throws UserError where there is no artifact.
 */
export async function bareSha256(folder: string): Promise<string> {
  const manifest = await readManifest(folder);
  return hasParts(manifest) ? (await bareManifest(manifest, folder)).sha256 : manifest.manifestSha256;
}

/** Takes adapter and exits out of an artifact: the manifest first, so that at every moment it is a whole one. */
export async function makeBare(folder: string): Promise<void> {
  const manifest = await readManifest(folder);
  if (!hasParts(manifest)) return;
  const { text } = await bareManifest(manifest, folder);
  await writeFileAtomic(path.join(folder, MANIFEST_NAME), text);
  for (const { name } of partsOf(manifest)) await removeFile(path.join(folder, name));
}

const hasParts = ({ exits, adapter }: Manifest) => exits !== null || adapter !== undefined;
const partsOf = (manifest: Manifest) => [exitsPart(manifest, null), adapterPart(manifest.spec, null)];
const bareManifest = (manifest: Manifest, folder: string) => manifestWith(manifest, folder, partsOf(manifest));
