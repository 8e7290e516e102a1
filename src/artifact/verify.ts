import { promises as fs } from "node:fs";
import path from "node:path";
import { isDeepStrictEqual } from "node:util";
import { codecOf } from "../codecs/index.ts";
import { maskFault } from "../codecs/sparse-masks.ts";
import { throwIfAborted, UserError } from "../errors.ts";
import { fileError } from "../formats/files.ts";
import { layoutMemory } from "../model/memory.ts";
import type { MemorySum } from "../model/memory-sum.ts";
import type { WorkOptions } from "../progress.ts";
import { TOOL_VERSION } from "../version.ts";
import { readAdapterFile } from "./adapter/file.ts";
import { badArtifact } from "./artifact-error.ts";
import { planLayout } from "./artifact-layout.ts";
import { hashFile } from "./content-hash.ts";
import { readExitsFile } from "./exits/file.ts";
import { fileNames, MANIFEST_NAME, type Manifest, PART_NAMES, SCHEDULE_NAME, waitingName } from "./manifest.ts";
import { type Artifact, openArtifact, readManifest } from "./reader.ts";
import { readSchedule } from "./schedule.ts";

/**
 * Checks an artifact to the last byte: all that opening it checks, every file's and every tensor's sha256, and the
 * memory sum computed anew. Returns what is wrong, one line each; nothing where all is well. Throws UserError where
 * there is no artifact.
 */
export async function verifyArtifact(folder: string, work: WorkOptions = {}): Promise<string[]> {
  const opening = await collect(async () => {
    const artifact = await openArtifact(folder);
    try {
      await checkMasks(artifact, folder, work);
    } finally {
      await artifact.close();
    }
    if (artifact.manifest.exits) await readExitsFile(folder, artifact.spec, artifact.manifest.exits);
    if (artifact.manifest.adapter) await readAdapterFile(folder, artifact.spec, artifact.manifest.adapter);
    await readSchedule(folder);
  });
  const manifest = await readManifest(folder).catch(rethrowMissing);
  if (!manifest) return opening;
  const findings = [...opening, ...checkMemory(manifest), ...(await unlistedFiles(folder, manifest))];
  const total = manifest.files.length;
  for (const [done, { name }] of manifest.files.entries()) {
    work.onProgress?.({ stage: "verifying", done, total, detail: name });
    findings.push(...(await checkContents(folder, manifest, name, work)));
  }
  work.onProgress?.({ stage: "verifying", done: total, total });
  return [...new Set(findings)];
}

/** Throws UserError where a sparse matrix stores other levels than its codec says. */
async function checkMasks(artifact: Artifact, folder: string, { signal }: WorkOptions): Promise<void> {
  for (const tensor of artifact.manifest.tensors) {
    throwIfAborted(signal);
    if (tensor.kind !== "matrix" || !codecOf(tensor.codec).kept) continue;
    const fault = maskFault(codecOf(tensor.codec), await artifact.readMatrix(tensor.name));
    if (fault) throw badArtifact(path.join(folder, tensor.file), `tensor ${tensor.name}: ${tensor.codec}: ${fault}`);
  }
}

/** A folder without a manifest is no artifact; one with a broken manifest is a finding that is listed already. */
function rethrowMissing(error: unknown): null {
  if (!(error instanceof UserError) || error.code === "FILE_NOT_FOUND") throw error;
  return null;
}

/** A UserError as a finding; anything else is a bug, and Interrupted a stop. */
async function collect(check: () => Promise<void>): Promise<string[]> {
  try {
    await check();
    return [];
  } catch (error) {
    if (error instanceof UserError) return [error.message];
    throw error;
  }
}

/**
 * The whole sum where this version made it; another version may have another formula for what a run needs, but not for
 * the files.
 */
function checkMemory({ spec, plan, maxFileBytes, exits, adapter, provenance }: Manifest): string[] {
  let expected: MemorySum;
  try {
    expected = layoutMemory(spec, planLayout(spec, plan, maxFileBytes), { ...plan.memory, exits, adapter });
  } catch {
    // Opening it has found the same reason.
    return [];
  }
  if (provenance.toolVersion !== TOOL_VERSION) expected = withRuntimeOf(plan.memory, expected);
  if (isDeepStrictEqual(expected, plan.memory)) return [];
  return [`memory sum: ${memoryDifference(expected, plan.memory)}`];
}

/** The sum with the run-time lines of another one, added up anew. */
function withRuntimeOf(other: MemorySum, own: MemorySum): MemorySum {
  const items = [
    ...own.items.filter(({ where }) => where === "file"),
    ...other.items.filter(({ where }) => where === "runtime"),
  ];
  const modelBytes = items.reduce((sum, { bytes }) => sum + bytes, 0);
  return { ...own, items, modelBytes, totalBytes: own.totalBytes - own.modelBytes + modelBytes };
}

/** The first item or total that differs, with both numbers. */
function memoryDifference(expected: MemorySum, found: MemorySum): string {
  const [computed, stated] = [bytesOfLines(expected), bytesOfLines(found)];
  const line = [...computed.keys(), ...stated.keys()].find((name) => computed.get(name) !== stated.get(name));
  if (line === undefined) return "computed anew it differs from the manifest's";
  const text = (bytes: number | undefined) => (bytes === undefined ? "none" : `${bytes} bytes`);
  return `${line}: expected ${text(computed.get(line))}, found ${text(stated.get(line))}`;
}

function bytesOfLines({ items, fileBytes, modelBytes, totalBytes }: MemorySum): Map<string, number> {
  const totals = Object.entries({ fileBytes, modelBytes, totalBytes });
  return new Map([...items.map(({ label, bytes }): [string, number] => [label, bytes]), ...totals]);
}

/** What readers of models take from a folder: weights, tokenizers, configs, templates, however they are spelt. */
const READ_BY_SOMEBODY = /\.(safetensors|json|jinja|model|bin|gguf)$|^(vocab|merges)\.txt$/i;

/**
 * Files of the folder that a reader of models would take, though the manifest does not vouch for them; links, whatever
 * they lead to. What is for people (a README) and names that begin with a dot may lie there.
 */
async function unlistedFiles(folder: string, manifest: Manifest): Promise<string[]> {
  const listed = new Set([MANIFEST_NAME, SCHEDULE_NAME, ...PART_NAMES.map(waitingName), ...fileNames(manifest)]);
  const found = (await entriesOf(folder)).filter(({ name }) => !listed.has(name));
  return found
    .filter(({ name, isLink }) => isLink || READ_BY_SOMEBODY.test(path.basename(name)))
    .map(({ name, isLink }) => {
      const what = isLink ? "a link" : "one";
      return `${path.join(folder, name)}: expected no file beside those of the manifest, found ${what}`;
    });
}

/** All that lies in a folder and the folders in it, by its name from there; links are not followed. */
async function entriesOf(folder: string, inside = ""): Promise<{ readonly name: string; readonly isLink: boolean }[]> {
  const entries = await fs.readdir(path.join(folder, inside), { withFileTypes: true }).catch((error: unknown) => {
    throw fileError(error, path.join(folder, inside), "read");
  });
  const found = entries.map(async (entry) => {
    const name = path.join(inside, entry.name);
    if (entry.name.startsWith(".")) return [];
    return entry.isDirectory() ? await entriesOf(folder, name) : [{ name, isLink: entry.isSymbolicLink() }];
  });
  return (await Promise.all(found)).flat();
}

async function checkContents(folder: string, manifest: Manifest, name: string, work: WorkOptions): Promise<string[]> {
  const file = path.join(folder, name);
  const tensors = manifest.tensors.filter((tensor) => tensor.file === name);
  const record = manifest.files.find((candidate) => candidate.name === name);
  const findings: string[] = [];
  const failures = await collect(async () => {
    const { sha256, parts } = await hashFile(file, tensors, work.signal);
    for (const tensor of tensors) {
      const found = parts.get(tensor.name);
      if (found !== tensor.sha256)
        findings.push(`${file}: tensor ${tensor.name}: expected sha256 ${tensor.sha256}, found ${found}`);
    }
    if (sha256 !== record?.sha256) findings.push(`${file}: expected sha256 ${record?.sha256}, found ${sha256}`);
  });
  return [...findings, ...failures];
}
