import { addAdapter } from "../artifact/adapter/add.ts";
import type { AdapterTable } from "../artifact/adapter/table.ts";
import { readManifest } from "../artifact/reader.ts";
import { findModel } from "../decoding/find-model.ts";
import { UserError } from "../errors.ts";
import type { AdapterDtype } from "../model/adapter-bytes.ts";
import type { MemorySum } from "../model/memory-sum.ts";
import type { WorkOptions } from "../progress.ts";
import { readRunAdapter } from "./run-adapter.ts";

export interface AdaptOptions extends WorkOptions {
  readonly dtype: AdapterDtype;
  /** Also where the model with it takes more than the budget that it was planned for. */
  readonly overBudget: boolean;
}

/** An artifact that got an adapter. */
export interface AdaptedArtifact {
  readonly artifact: string;
  readonly manifestSha256: string;
  readonly adapter: AdapterTable;
  readonly memory: MemorySum;
}

/**
 * Gives an artifact (or that of a run folder) a PEFT adapter beside its packed weights, in place of any that it has.
 * Throws UserError `ADAPT_CHECKPOINT` for a checkpoint, and as `readPeftAdapter` and `addAdapter`.
 */
export async function adaptArtifact(
  target: string,
  adapterFolder: string,
  { dtype, overBudget, signal }: AdaptOptions,
): Promise<AdaptedArtifact> {
  const { kind, folder } = await findModel(target);
  if (kind === "checkpoint") {
    const hint = "compress CHECKPOINT --adapter DIR merges the adapter into what it packs";
    throw new UserError(
      "ADAPT_CHECKPOINT",
      `${target}: expected an artifact or a run folder, found a checkpoint`,
      hint,
    );
  }
  const { spec } = await readManifest(folder);
  const { parts, identity } = await readRunAdapter(adapterFolder, spec);
  const origin = { kind: "peft", ...identity };
  const { manifestSha256 } = await addAdapter(folder, { parts, dtype, origin, overBudget, signal });
  const { adapter, plan } = await readManifest(folder);
  if (!adapter) throw new Error(`${folder}: the adapter was added and is not there`);
  return { artifact: folder, manifestSha256, adapter, memory: plan.memory };
}
