import { throwIfAborted, UserError } from "../../errors.ts";
import { type ExitShape, memoryWithExits } from "../../model/exit-bytes.ts";
import { headCodecOf } from "../../model/memory.ts";
import type { MemorySum } from "../../model/memory-sum.ts";
import { planLayout } from "../artifact-layout.ts";
import { EXITS_NAME, type FileRecord, type Manifest } from "../manifest.ts";
import { manifestWith, type PartFile, putPart } from "../part-file.ts";
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
 * Gives an artifact that exists its exits, in place of any that it has (part-file.ts).
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
  return putPart(folder, manifest, {
    name: EXITS_NAME,
    write: (file) => writeExitsFile(file, manifest.spec, table, contents),
    part: (file) => exitsPart(manifest, file && { table, file }),
  });
}

/** The memory sum of an artifact with other exits than it has: what a trainer asks before it begins. */
export function memoryOfExits(
  { spec, plan, maxFileBytes }: Pick<Manifest, "spec" | "plan" | "maxFileBytes">,
  exits: ExitShape | null,
  before: MemorySum = plan.memory,
): MemorySum {
  return memoryWithExits(before, spec, exits, headCodecOf(spec, planLayout(spec, plan, maxFileBytes)));
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
  return manifest.exits
    ? (await manifestWith(manifest, folder, [exitsPart(manifest, null)])).sha256
    : manifest.manifestSha256;
}

/** What a manifest says of exits and their file, or without any. */
export function exitsPart(
  manifest: Manifest,
  exits: { readonly table: ExitTable; readonly file: FileRecord } | null,
): PartFile {
  return {
    name: EXITS_NAME,
    file: exits?.file ?? null,
    memory: (before) => memoryOfExits(manifest, exits?.table ?? null, before),
    fields: { exits: exits?.table ?? [] },
  };
}
