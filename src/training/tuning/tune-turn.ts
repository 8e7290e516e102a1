import { createHash } from "node:crypto";
import path from "node:path";
import { throwIfAborted } from "../../errors.ts";
import { makeOnly } from "../../formats/make-folders.ts";
import type { LowRankPart } from "../../model/low-rank.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { BelowOptions } from "./below.ts";
import type { RowBuffers } from "./block/row-buffers.ts";
import type { Draws } from "./draws.ts";
import type { HeadLoss } from "./head-loss.ts";
import { activeParts } from "./parameters.ts";
import { rateAt } from "./rates.ts";
import type { TuneModelOptions } from "./tune-options.ts";
import type { TuningState } from "./tuning-state.ts";
import type { Turn, Window } from "./window-order.ts";
import { WindowTuner } from "./window-tuner.ts";

/** Name under which the executor knows the additions of blocks that it runs. */
const ADAPTER = "tuned";

/** Keeps the states below the window of a turn. */
export const STATES_FOLDER = "states";

/** What the turns of a run share. */
export interface TuningWork {
  readonly options: TuneModelOptions;
  readonly windows: readonly Window[];
  readonly head: HeadLoss;
  readonly draws: Draws;
  readonly buffers: RowBuffers;
  /** Names all that decides what is learned. */
  readonly key: string;
  /** Keeps the state. */
  save(): Promise<void>;
}

/** Makes what was learned of the blocks below a depth known to the executor: its name, or null where it is nothing. */
export async function loadBelow(
  executor: AnyExecutor,
  parts: readonly LowRankPart[],
  depth: number,
): Promise<string | null> {
  const below = activeParts(parts).filter(({ block }) => block < depth);
  if (below.length === 0) return null;
  await executor.loadAdapter(ADAPTER, below);
  return ADAPTER;
}

/**
 * The steps of a turn that are not done yet; the state is kept every few of them, and where the work is stopped or a
 * step gives no finite number.
 */
export async function tuneTurn(work: TuningWork, state: TuningState, turn: Turn): Promise<void> {
  const { settings, signal, onProgress } = work.options;
  const { from, to } = work.windows[turn.window];
  const tuner = await openTuner(work, state, turn);
  while (state.losses.length < turn.steps) {
    try {
      throwIfAborted(signal);
      state.losses.push(await takeStep(work, state, { turn, tuner }));
    } catch (error) {
      await work.save();
      throw error;
    }
    state.step++;
    state.updates[turn.window]++;
    if (state.step % settings.saveEvery === 0) await work.save();
    const loss = state.losses[state.losses.length - 1].toFixed(3);
    const detail = `blocks ${from} to ${to - 1}: loss ${loss}`;
    onProgress?.({ stage: "tuning", done: state.step, total: settings.steps, detail });
  }
}

async function openTuner(work: TuningWork, state: TuningState, turn: Turn): Promise<WindowTuner> {
  const { source, executor, settings } = work.options;
  const window = work.windows[turn.window];
  return WindowTuner.open({
    ...{ source, executor, head: work.head, state, window, recompute: settings.recompute },
    exit: settings.exit === "last" ? source.spec.blocks.length : window.to,
    below: await belowOf(work, state, turn),
    buffers: work.buffers,
  });
}

/** States are kept on disk where the turn comes back to sequences, and there is something to save. */
async function belowOf(work: TuningWork, state: TuningState, turn: Turn): Promise<BelowOptions> {
  const { executor, settings, train, folder } = work.options;
  const depth = work.windows[turn.window].from;
  const adapter = await loadBelow(executor, state.parts, depth);
  const comesBack = turn.steps * settings.accumulate > train.length;
  const key = createHash("sha256").update(`${work.key} turn ${state.past.length}`).digest("hex").slice(0, 16);
  const states = comesBack && depth > 0 ? path.join(folder, STATES_FOLDER, key) : null;
  if (states !== null) await makeOnly(states);
  return { executor, depth, adapter, folder: states };
}

async function takeStep(
  { options: { settings, train }, draws }: TuningWork,
  state: TuningState,
  { turn, tuner }: { readonly turn: Turn; readonly tuner: WindowTuner },
): Promise<number> {
  const { accumulate, order, decay, clip } = settings;
  const batch = Array.from({ length: accumulate }, (_, i) => {
    const number = draws.at(state.step * accumulate + i);
    return { example: train[number], number };
  });
  // A window that has all its steps at once has a schedule of its own.
  const own = order === "shallow-to-deep";
  const rate = rateAt(own ? state.losses.length : state.step, {
    ...settings,
    steps: own ? turn.steps : settings.steps,
  });
  const label = `step ${state.step + 1}`;
  return tuner.update(batch, { rate, decay, clip, step: state.updates[turn.window] + 1, label });
}
