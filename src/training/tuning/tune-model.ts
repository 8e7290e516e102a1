import { createHash } from "node:crypto";
import path from "node:path";
import { removeFolder } from "../../formats/make-folders.ts";
import type { LowRankPart } from "../../model/low-rank.ts";
import { executorName } from "../../runtime/executor-info.ts";
import { TOOL_VERSION } from "../../version.ts";
import { RowBuffers } from "./block/row-buffers.ts";
import { Draws } from "./draws.ts";
import { openHeadLoss } from "./head-loss.ts";
import { heldOutLosses } from "./held-out.ts";
import { startParts } from "./parameters.ts";
import type { TuneModelOptions } from "./tune-options.ts";
import { loadBelow, STATES_FOLDER, type TuningWork, tuneTurn } from "./tune-turn.ts";
import { restoreTuning, saveTuning, type TuningState } from "./tuning-state.ts";
import { nextTurn, type TurnResult, type Window, windowsOf } from "./window-order.ts";

/** A model's additions after tuning. */
export interface TunedModel {
  readonly parts: readonly LowRankPart[];
  readonly windows: readonly Window[];
  readonly turns: readonly TurnResult[];
  /** Mean held-out loss in nats at each window's end, before and after; the last is the model's own. */
  readonly before: readonly number[];
  readonly after: readonly number[];
  /** Steps of this call, and how long they took in milliseconds, saving and reading of blocks included. */
  readonly took: { readonly steps: number; readonly ms: number };
}

/**
 * Adaptive layer tuning (EDGE-LLM, arXiv 2406.15758): low-rank additions of one window of blocks at a time, learned
 * from the cross entropy at the window's end (final norm and shared head) or after the last block, in one stream: what
 * lower windows have learned is active below. Its state is saved every few steps: stopped and called again, it goes on
 * to the same bytes. Throws UserError TUNING_NOT_FINITE, the last good state kept, and Interrupted between steps.
 */
export async function tuneModel(options: TuneModelOptions): Promise<TunedModel> {
  const { source, executor, settings, folder } = options;
  const windows = windowsOf(source.spec.blocks.length, settings.window, settings.firstBlock);
  const stateFile = path.join(folder, "state.safetensors");
  const key = tuningKey(options);
  const head = await openHeadLoss(source, executor);
  const lossesNow = async (parts: readonly LowRankPart[]) => {
    const adapter = await loadBelow(executor, parts, source.spec.blocks.length);
    const depths = windows.map(({ to }) => to);
    return heldOutLosses(options.heldOut, { executor, head, depths, adapter, signal: options.signal });
  };
  const parts = startParts(source.spec, settings);
  const state = (await restoreTuning(stateFile, key, parts)) ?? newState(parts, windows.length, await lossesNow(parts));
  const draws = new Draws(options.train.length, settings.seed);
  const buffers = new RowBuffers(options.train.reduce((most, { ids }) => Math.max(most, ids.length), 0));
  const work: TuningWork = {
    options,
    windows,
    head,
    draws,
    buffers,
    key,
    save: () => saveTuning(stateFile, key, state),
  };
  const [startedAt, startedMs] = [state.step, performance.now()];
  for (;;) {
    const turn = nextTurn(settings.order, { ...settings, windows: windows.length, past: state.past });
    if (!turn) break;
    if (turn.steps > 0) await tuneTurn(work, state, turn);
    state.past.push({ ...turn, ...halves(state.losses) });
    state.losses = [];
    // Nothing is learned again of a window that had all its steps at once.
    if (settings.order === "shallow-to-deep") state.moments.clear();
    await work.save();
  }
  const took = { steps: state.step - startedAt, ms: performance.now() - startedMs };
  await removeFolder(path.join(folder, STATES_FOLDER));
  return { parts, windows, turns: state.past, before: state.before, after: await lossesNow(parts), took };
}

function newState(parts: readonly LowRankPart[], windows: number, before: number[]): TuningState {
  const updates = Array.from({ length: windows }, () => 0);
  return { parts, moments: new Map(), step: 0, past: [], losses: [], updates, before };
}

/** Mean losses of a turn's first and second half. */
function halves(losses: readonly number[]): Pick<TurnResult, "firstLoss" | "lastLoss"> {
  const mean = (some: readonly number[]) => some.reduce((sum, one) => sum + one, 0) / Math.max(1, some.length);
  const half = Math.ceil(losses.length / 2);
  return { firstLoss: mean(losses.slice(0, half)), lastLoss: mean(losses.slice(losses.length - half)) };
}

/** Names all that decides the bytes of the additions. */
function tuningKey({ modelId, settings, executor, train, heldOut }: TuneModelOptions): string {
  const hash = createHash("sha256");
  // How often the state is saved changes nothing.
  const { saveEvery: _, ...decisive } = settings;
  hash.update(
    JSON.stringify([TOOL_VERSION, modelId, decisive, executorName(executor.info), executor.info.activations]),
  );
  for (const examples of [train, heldOut]) {
    hash.update(`\n\n`);
    for (const { ids, learned } of examples) hash.update(`\n${ids.join()} ${learned.join("")}`);
  }
  return hash.digest("hex");
}
