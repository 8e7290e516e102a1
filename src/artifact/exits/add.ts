import { promises as fs } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { throwIfAborted, UserError } from "../../errors.ts";
import {
  fileError,
  parseJsonBytes,
  parseWith,
  readFileBytes,
  syncFolder,
  writeFileAtomic,
} from "../../formats/files.ts";
import { type ExitShape, memoryWithExits } from "../../model/exit-bytes.ts";
import { headCodecOf } from "../../model/memory.ts";
import type { MemorySum } from "../../model/memory-sum.ts";
import { planLayout } from "../artifact-layout.ts";
import { hashFile } from "../content-hash.ts";
import { EXITS_NAME, type FileRecord, MANIFEST_NAME, type Manifest, NEW_EXITS_NAME } from "../manifest.ts";
import { hashedText } from "../manifest-text.ts";
import { openArtifact, readManifest } from "../reader.ts";
import type { WrittenArtifact } from "../writer.ts";
import { checkExits } from "./check.ts";
import { type ExitsContents, writeExitsFile } from "./file.ts";
import type { ExitTable } from "./table.ts";

/** The exits that an artifact gets. */
export interface AddedExits {
  readonly table: ExitTable;
  readonly contents: ExitsContents;
  /** Also where the model with its exits takes more than the budget that it was planned for. */
  readonly overBudget?: boolean | undefined;
  /** Stops before the artifact is touched, with Interrupted. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives an artifact that exists its exits, in place of any that it has. The weights files are left as they are; the
 * manifest, which names the exits file, is replaced in one step and last. Stopped at any moment, it leaves an artifact
 * that opens and runs: the old one, or (where the old one had exits) the same without any, for an instant before the
 * new; `verify` names the exits file that is not of it yet.
 * Throws UserError BAD_ARTIFACT for an artifact or a table that is not valid, EXITS_OVER_BUDGET, and `FILE_*` or
 * `DISK_FULL`.
 */
export async function addExits(folder: string, { table, contents, ...options }: AddedExits): Promise<WrittenArtifact> {
  const artifact = await openArtifact(folder);
  await artifact.close();
  const { manifest } = artifact;
  checkExits(manifest.spec, table, folder);
  if (!options.overBudget) checkExitBudget(manifest, table, folder);
  throwIfAborted(options.signal);
  const waiting = path.join(folder, NEW_EXITS_NAME);
  await writeExitsFile(waiting, manifest.spec, table, contents);
  const { bytes, sha256 } = await hashFile(waiting);
  const added = { table, file: { name: EXITS_NAME, bytes, sha256 } };
  const next = await manifestWithExits(manifest, folder, added);
  // The old manifest vouches for the old exits file: it may not be there any more when that goes.
  const bare = manifest.exits && (await manifestWithExits(manifest, folder, null));
  if (bare) await writeFileAtomic(path.join(folder, MANIFEST_NAME), bare.text);
  await rename(waiting, path.join(folder, EXITS_NAME));
  await writeFileAtomic(path.join(folder, MANIFEST_NAME), next.text);
  return { folder, manifestSha256: next.sha256, files: filesWith(manifest, added.file) };
}

/** The memory sum of an artifact with other exits than it has: what a trainer asks before it begins. */
export function memoryOfExits(
  { spec, plan, maxFileBytes }: Pick<Manifest, "spec" | "plan" | "maxFileBytes">,
  exits: ExitShape | null,
): MemorySum {
  return memoryWithExits(plan.memory, spec, exits, headCodecOf(spec, planLayout(spec, plan, maxFileBytes)));
}

/**
 * Throws UserError EXITS_OVER_BUDGET where the exits do not fit into what is left of the budget that the artifact was
 * planned for.
 */
export function checkExitBudget(manifest: Manifest, exits: ExitShape, label: string): void {
  const { budgetBytes } = manifest.plan;
  const { totalBytes } = memoryOfExits(manifest, exits);
  if (budgetBytes === null || totalBytes <= budgetBytes) return;
  throw new UserError(
    "EXITS_OVER_BUDGET",
    `${label}: expected exits that fit the planned ${budgetBytes} bytes, found ${totalBytes} bytes with them`,
    "train fewer or smaller exits, or compress with a recipe that plans for them",
  );
}

/**
 * The hash of an artifact's manifest as it was before it got exits: names what they were trained on. Its own where it
 * has none. Throws UserError where there is no artifact.
 */
export async function trunkSha256(folder: string): Promise<string> {
  const manifest = await readManifest(folder);
  return manifest.exits ? (await manifestWithExits(manifest, folder, null)).sha256 : manifest.manifestSha256;
}

/**
 * The manifest's text with exits and their file, or without any: memory sum and list of files as if it had always been
 * so, all else as it stands in the file, so that taking the exits away gives the very bytes from before.
 */
async function manifestWithExits(
  manifest: Manifest,
  folder: string,
  exits: { readonly table: ExitTable; readonly file: FileRecord } | null,
): Promise<{ text: string; sha256: string }> {
  const file = path.join(folder, MANIFEST_NAME);
  const { manifestSha256: _, ...fields } = parseWith(Fields, parseJsonBytes(await readFileBytes(file), file), file);
  return hashedText({
    ...fields,
    plan: { ...parseWith(Fields, fields.plan, file), memory: memoryOfExits(manifest, exits?.table ?? null) },
    files: filesWith(manifest, exits?.file ?? null),
    exits: exits?.table ?? [],
  });
}

/** An object's fields in the order of the file, which the manifest's own schema does not keep. */
const Fields = z.record(z.string(), z.unknown());

/** The artifact's files with another exits file, or none: weights in order, then the others by name. */
function filesWith({ tensors, files }: Manifest, exits: FileRecord | null): FileRecord[] {
  const isWeights = new Set(tensors.map(({ file }) => file));
  const weights = files.filter(({ name }) => isWeights.has(name));
  const others = files.filter(({ name }) => !isWeights.has(name) && name !== EXITS_NAME);
  if (exits) others.push(exits);
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
