import { throwIfAborted, UserError } from "../../errors.ts";
import { type AdapterDtype, memoryWithAdapter } from "../../model/adapter-bytes.ts";
import { countNonFinite } from "../../model/checkpoint.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import { checkAdapter, inExecutionOrder, type LowRankPart } from "../../model/low-rank.ts";
import { idOf } from "../../model/matrix-id.ts";
import { f16ToF32Array, f32ToF16Array } from "../../tensor/half.ts";
import { ADAPTER_NAME, type FileRecord, type Manifest } from "../manifest.ts";
import { type PartFile, putPart } from "../part-file.ts";
import { openArtifact } from "../reader.ts";
import type { WrittenArtifact } from "../writer.ts";
import { writeAdapterFile } from "./file.ts";
import type { AdapterTable } from "./table.ts";

/** The adapter that an artifact gets. */
export interface AddedAdapter {
  readonly parts: readonly LowRankPart[];
  readonly dtype: AdapterDtype;
  /** Where it is from, for the manifest. */
  readonly origin: Readonly<Record<string, unknown>>;
  /** Also where the model with it takes more than the budget that it was planned for. */
  readonly overBudget?: boolean | undefined;
  /** Stops before the artifact is touched, with Interrupted. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Gives an artifact that exists an adapter, in place of any that it has (part-file.ts).
 * Throws UserError BAD_ARTIFACT for an artifact that is not valid, EXITS for one whose exits were trained without the
 * adapter, ADAPTER_OVER_BUDGET, ADAPTER for numbers that are not finite as they are to be stored, and `FILE_*` or
 * `DISK_FULL`.
 */
export async function addAdapter(folder: string, added: AddedAdapter): Promise<WrittenArtifact> {
  const { dtype, signal } = added;
  const parts = inExecutionOrder(added.parts);
  const artifact = await openArtifact(folder);
  await artifact.close();
  const { manifest, spec } = artifact;
  checkAdapter(spec, folder, parts);
  for (const part of parts) checkStored(part, dtype, folder);
  if (manifest.exits) {
    const hint = "give an artifact without exits its adapter first, then train exits on it (layerwise exits)";
    throw new UserError("EXITS", `${folder}: expected no exits, found exits trained without the adapter`, hint);
  }
  const table = tableOf(added, parts);
  if (!added.overBudget) checkBudget(manifest, table, folder);
  throwIfAborted(signal);
  return putPart(folder, manifest, {
    name: ADAPTER_NAME,
    write: (file) => writeAdapterFile(file, spec, dtype, parts),
    part: (file) => adapterPart(spec, file && { table, file }),
  });
}

/** What a manifest says of an adapter and its file, or without any. */
export function adapterPart(
  spec: DecoderSpec,
  adapter: { readonly table: AdapterTable; readonly file: FileRecord } | null,
): PartFile {
  return {
    name: ADAPTER_NAME,
    file: adapter?.file ?? null,
    memory: (before) => memoryWithAdapter(before, spec, adapter?.table ?? null),
    fields: { adapter: adapter?.table },
  };
}

function tableOf({ dtype, origin }: AddedAdapter, parts: readonly LowRankPart[]): AdapterTable {
  return { dtype, parts: parts.map(({ block, role, rank, factor }) => ({ block, role, rank, factor })), origin };
}

function checkStored({ block, role, a, b }: LowRankPart, dtype: AdapterDtype, label: string): void {
  const kept = (numbers: Float32Array) => (dtype === "F16" ? f16ToF32Array(f32ToF16Array(numbers)) : numbers);
  const bad = countNonFinite(kept(a)) + countNonFinite(kept(b));
  if (bad === 0) return;
  const what = `${label}: adapter: ${idOf(block, role)}: expected finite ${dtype} numbers, found ${bad} that are not`;
  throw new UserError("ADAPTER", what, dtype === "F16" ? "store it as F32" : "the adapter is damaged");
}

function checkBudget({ spec, plan }: Manifest, table: AdapterTable, label: string): void {
  const { budgetBytes } = plan;
  const { totalBytes } = memoryWithAdapter(plan.memory, spec, table);
  if (budgetBytes === null || totalBytes <= budgetBytes) return;
  throw new UserError(
    "ADAPTER_OVER_BUDGET",
    `${label}: expected an adapter that fits the planned ${budgetBytes} bytes, found ${totalBytes} bytes with it`,
    "take a smaller rank or F16, compress to a smaller budget first, or merge the adapter (compress --adapter)",
  );
}
