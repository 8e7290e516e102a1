import path from "node:path";
import { trunkSha256 } from "../artifact/exits/add.ts";
import { executorOver, type OpenModelOptions, type OpenWeights, openWeights } from "../decoding/open-weights.ts";
import { UserError } from "../errors.ts";
import { parseWith, removeFile, writeFileAtomic } from "../formats/files.ts";
import { lockFolder } from "../formats/lock.ts";
import { makeFolders } from "../formats/make-folders.ts";
import { Checkpoint } from "../model/checkpoint.ts";
import { writePeftAdapter } from "../model/peft/write.ts";
import { loadTokenizer } from "../model/tokenizer.ts";
import type { WorkOptions } from "../progress.ts";
import type { Example } from "../training/tuning/examples.ts";
import { TuneSettings } from "../training/tuning/settings.ts";
import { type TunedModel, tuneModel } from "../training/tuning/tune-model.ts";
import { type DepthLoss, depthLosses } from "./depth-losses.ts";
import { checkMergeTarget, writeMergedCheckpoint } from "./merged-checkpoint.ts";
import { checkTuning, tuningExamples } from "./tuning-text.ts";

/** Beside the adapter: blocks run at the end of each window, where the shared output head gives an answer. */
const ENDS_NAME = "layerwise_exits.json";

/** What is to be tuned, on what. */
export interface TuneRequest extends WorkOptions {
  /** Text files: `.txt`, or JSON lines (training/tuning/examples.ts). */
  readonly data: readonly string[];
  /** A file of text that is held out; null: a share of the data. */
  readonly heldOutFile: string | null;
  /** Fields of TuneSettings. */
  readonly settings: Partial<Record<keyof TuneSettings, unknown>>;
  /** The folder for all results; the same request continues in it. */
  readonly out: string;
  /** A new folder for a checkpoint with the adapter merged into it; null: none is wanted. */
  readonly merge: string | null;
  readonly execution: OpenModelOptions;
  /** Called when model and text have been read: much of what that took is not needed again. */
  readonly onRead?: (() => void) | undefined;
}

/** What tuning gave, and where it is. */
export interface TuneReport {
  readonly adapter: string;
  /** Folder of the merged checkpoint, where one was wanted. */
  readonly merged: string | null;
  readonly settings: TuneSettings;
  readonly windows: TunedModel["windows"];
  readonly turns: TunedModel["turns"];
  /** Steps of this call, and how long they took. */
  readonly took: TunedModel["took"];
  readonly examples: { readonly train: number; readonly heldOut: number; readonly heldOutTokens: number };
  /** At the end of each window; the last is the model's own. */
  readonly losses: readonly DepthLoss[];
}

/**
 * Tunes a checkpoint or an artifact, and writes `adapter/` (PEFT), beside it the windows' ends, and `tuning.json`.
 * Throws UserError for what the user can mend, before anything long; Interrupted when stopped: the same call goes on.
 */
export async function tune(target: string, request: TuneRequest): Promise<TuneReport> {
  const settings = parseWith(TuneSettings, request.settings, "tuning");
  const weights = await openWeights(target);
  try {
    checkTuning(settings, { blocks: weights.source.spec.blocks.length, contextTokens: weights.contextTokens });
    const { source, folder, listed } = weights;
    await checkModel(target, weights, request.merge);
    const tokenizer = await loadTokenizer(folder, { spec: source.spec, listed });
    const { train, heldOut } = await tuningExamples(request, settings, tokenizer);
    await makeFolders(request.out);
    const lock = await lockFolder(request.out);
    try {
      const executor = await executorOver(weights, request.execution);
      try {
        const { onProgress, signal } = request;
        request.onRead?.();
        const modelId = source instanceof Checkpoint ? source.id : await trunkSha256(folder);
        const tuned = await tuneModel({
          ...{ source, executor, modelId, train, heldOut, settings, folder: request.out, onProgress, signal },
        });
        lock.assertHeld();
        return await writeResults(target, request, { weights, settings, tuned, train, heldOut });
      } finally {
        await executor.dispose();
      }
    } finally {
      await lock.release();
    }
  } finally {
    await weights.source.close();
  }
}

/** Throws UserError where the model is none to learn an adapter of, or to merge it into. */
async function checkModel(target: string, { source }: OpenWeights, merge: string | null): Promise<void> {
  if ((await source.readAdditions?.())?.length) {
    throw new UserError(
      "TUNING_ADAPTER",
      `${target}: expected a model without an adapter, found one with`,
      "tune the model as it was, or merge the adapter first",
    );
  }
  if (merge === null) return;
  if (source instanceof Checkpoint) return checkMergeTarget(merge);
  const found = `merge: expected a checkpoint, whose weights are floats, found the artifact ${target}`;
  throw new UserError("TUNING_MERGE", found, "leave --merge out: layerwise adapt puts the adapter into the artifact");
}

async function writeResults(
  target: string,
  { out, merge }: TuneRequest,
  found: {
    readonly weights: OpenWeights;
    readonly settings: TuneSettings;
    readonly tuned: TunedModel;
    readonly train: readonly Example[];
    readonly heldOut: readonly Example[];
  },
): Promise<TuneReport> {
  const { settings, tuned, train, heldOut } = found;
  const { source } = found.weights;
  const { windows, turns } = tuned;
  const adapter = path.join(out, "adapter");
  const ends = path.join(adapter, ENDS_NAME);
  // The adapter's folder says by its config alone that it is whole: nothing of an older one may stand beside it.
  await removeFile(ends);
  await writePeftAdapter(adapter, source.spec, tuned.parts, { base: target });
  await writeFileAtomic(ends, `${JSON.stringify({ blocks: windows.map(({ to }) => to) })}\n`);
  if (merge !== null && source instanceof Checkpoint) await writeMergedCheckpoint(source, tuned.parts, merge);
  const report: Omit<TuneReport, "took"> = {
    ...{ adapter, merged: merge, settings, windows, turns },
    examples: {
      train: train.length,
      heldOut: heldOut.length,
      heldOutTokens: heldOut.reduce((sum, { ids }) => sum + ids.length, 0),
    },
    losses: depthLosses(tuned),
  };
  // Without what another run of the same would find otherwise.
  await writeFileAtomic(path.join(out, "tuning.json"), `${JSON.stringify(report, null, 2)}\n`);
  return { ...report, took: tuned.took };
}
