import { setImmediate } from "node:timers/promises";
import { throwIfAborted } from "../../errors.ts";
import type { NormSpec } from "../../model/decoder-spec.ts";
import type { WorkOptions } from "../../progress.ts";
import { Random } from "../../tensor/random.ts";
import { adamStep, cosineRate } from "../adam.ts";
import { allBatches, batchesPerEpoch, type StateBatch, trainingBatches } from "./batches.ts";
import {
  headGradients,
  headLogits,
  headLoss,
  loadSharedHead,
  type SharedHead,
  teacherProbabilities,
} from "./head-graph.ts";
import { type HeadParameters, type HeadStart, quietLens, startHead, storedHead } from "./head-parameters.ts";
import type { SavedStates } from "./states.ts";
import type { TrainingSettings } from "./training-settings.ts";
import {
  type HeadInTraining,
  type HeadScore,
  learnedOf,
  newState,
  restoreState,
  saveState,
  type TrainingState,
} from "./training-state.ts";

/** What exit heads are trained on. */
export interface TrainHeadsOptions extends WorkOptions {
  readonly start: HeadStart;
  /** The model's final norm. */
  readonly norm: NormSpec;
  /** Blocks run before each exit, rising, and of the whole model. */
  readonly points: readonly number[];
  readonly blocks: number;
  /** The heads' ids, null for all. */
  readonly ids: Int32Array | null;
  readonly train: SavedStates;
  /** Tokens held out to choose the iterate by. */
  readonly stop: SavedStates;
  readonly settings: TrainingSettings;
  readonly seed: number;
  /** Where the state of the training is kept, and the name of all that decides it (backend and threads among it). */
  readonly stateFile: string;
  readonly key: string;
}

/** A trained head. */
export interface TrainedHead {
  readonly blocks: number;
  /** As stored. */
  readonly parameters: HeadParameters;
  /** On the held-out tokens: what nothing had been learned of, and the iterate that was kept. */
  readonly before: HeadScore;
  readonly after: HeadScore;
  /** Steps after which it was best. */
  readonly steps: number;
}

/**
 * Trains all exit heads side by side on the answers of the frozen model (KL, arXiv 2407.21082), each batch by AdamW at
 * falling rates. The iterate of least held-out loss is kept, head by head, the untrained one included. Its state is
 * saved at every look at the held-out tokens: killed and called again, it goes on to the same bytes. The training
 * backend is open. Throws Interrupted between steps.
 */
export async function trainHeads(options: TrainHeadsOptions): Promise<TrainedHead[]> {
  const { start, norm, points, seed, stateFile, key } = options;
  const shared = loadSharedHead(norm, start);
  try {
    const random = new Random(seed);
    const heads = points.map((point) => startHead(start, random.fork(`exit ${point}`)));
    const state = newState(
      heads,
      heads.map(() => ({ loss: 0, agreement: 0 })),
    );
    if (!(await restoreState(stateFile, key, state))) {
      const quiet = heads.map(quietLens);
      const scores = await evaluate(options, shared, heads);
      const quietScores = await evaluate(options, shared, quiet);
      for (const [i, head] of state.heads.entries()) {
        Object.assign(head, { before: scores[i], bestScore: scores[i] });
        // The lens itself is kept as the best there is so far, wherever training begins.
        if (quietScores[i].loss < scores[i].loss) setLearned(head.parameters, quiet[i]);
      }
    }
    if (!state.done) await train(options, shared, state);
    return state.heads.map((head, i) => ({
      blocks: points[i],
      parameters: storedHead(bestOf(head)),
      ...{ before: head.before, after: head.bestScore, steps: head.bestStep },
    }));
  } finally {
    shared.dispose();
  }
}

function setLearned(to: HeadParameters, from: HeadParameters): void {
  const values = learnedOf(from);
  for (const [j, one] of learnedOf(to).entries()) one.values.set(values[j].values);
}

async function train(options: TrainHeadsOptions, shared: SharedHead, state: TrainingState): Promise<void> {
  const { settings, train: saved, seed, signal, stateFile, key } = options;
  const { batchTokens, epochs, evaluateEvery, patience } = settings;
  const steps = epochs * batchesPerEpoch(saved.tokens, batchTokens);
  report(options, state, steps);
  for await (const batch of trainingBatches(saved, { batchTokens, seed, from: state.step })) {
    // TensorFlow.js computes without yielding: what stops the work is heard of here.
    await setImmediate();
    throwIfAborted(signal);
    trainStep(options, shared, state, { batch, rate: cosineRate(settings.rate, state.step, steps) });
    state.step++;
    const last = state.step === steps;
    if (last || state.step % evaluateEvery === 0) {
      const better = takeScores(
        state,
        await evaluate(
          options,
          shared,
          state.heads.map(({ parameters }) => parameters),
        ),
      );
      state.idle = better ? 0 : state.idle + 1;
      state.done = last || state.idle >= patience;
      await saveState(stateFile, key, state);
    }
    report(options, state, steps);
    if (state.done) return;
  }
}

/** One step of every head on the same batch. */
function trainStep(
  { points, blocks, settings }: TrainHeadsOptions,
  shared: SharedHead,
  { heads, step }: TrainingState,
  { batch, rate }: { readonly batch: StateBatch; readonly rate: number },
): void {
  const teacher = teacherProbabilities(shared, rowsAt(batch, blocks), batch.logSumExp);
  try {
    for (const [i, { parameters, moments }] of heads.entries()) {
      const { gradients } = headGradients(shared, parameters, rowsAt(batch, points[i]), teacher);
      for (const [j, { values, decays }] of learnedOf(parameters).entries()) {
        const decay = decays ? settings.decay : 0;
        adamStep(values, gradients[j], moments[j], step + 1, { rate, decay });
      }
    }
  } finally {
    teacher.dispose();
  }
}

/** Keeps the numbers of heads that are better than ever; whether any is. */
function takeScores({ heads, step }: TrainingState, scores: readonly HeadScore[]): boolean {
  let better = false;
  for (const [i, head] of heads.entries()) {
    if (!(scores[i].loss < head.bestScore.loss)) continue;
    better = true;
    head.bestScore = scores[i];
    head.bestStep = step;
    for (const [j, { values }] of learnedOf(head.parameters).entries()) head.best[j].set(values);
  }
  return better;
}

/** Scores of heads, as they would be stored, on all held-out tokens. */
async function evaluate(
  { stop, settings, points, blocks, ids, signal }: TrainHeadsOptions,
  shared: SharedHead,
  heads: readonly HeadParameters[],
): Promise<HeadScore[]> {
  const stored = heads.map(storedHead);
  const losses = stored.map(() => 0);
  const agreeing = stored.map(() => 0);
  for await (const batch of allBatches(stop, settings.batchTokens)) {
    await setImmediate();
    throwIfAborted(signal);
    const teacher = teacherProbabilities(shared, rowsAt(batch, blocks), batch.logSumExp);
    for (const [i, parameters] of stored.entries()) {
      const rows = rowsAt(batch, points[i]);
      losses[i] += headLoss(shared, parameters, rows, teacher) * batch.rows;
      agreeing[i] += countAgreeing(shared, parameters, rows, { argmax: batch.argmax, ids });
    }
    teacher.dispose();
  }
  return losses.map((loss, i) => ({ loss: loss / stop.tokens, agreement: agreeing[i] / stop.tokens }));
}

function countAgreeing(
  shared: SharedHead,
  parameters: HeadParameters,
  rows: { readonly rows: number; readonly hidden: Float32Array },
  { argmax, ids }: { readonly argmax: Int32Array; readonly ids: Int32Array | null },
): number {
  const logits = headLogits(shared, parameters, rows);
  const best = logits.argMax(1);
  const found = best.dataSync<"int32">();
  best.dispose();
  logits.dispose();
  // One past the ids is the tail, which is the answer of no id.
  return argmax.reduce((sum, wanted, row) => sum + ((ids ? ids[found[row]] : found[row]) === wanted ? 1 : 0), 0);
}

function rowsAt({ rows, states }: StateBatch, blocks: number): { rows: number; hidden: Float32Array } {
  const hidden = states.get(blocks);
  if (!hidden) throw new Error(`exits: no states after ${blocks} blocks`);
  return { rows, hidden };
}

function bestOf({ parameters, best }: HeadInTraining): HeadParameters {
  let at = 0;
  return parameters.map((one) => (one.learned ? { ...one, values: best[at++] } : one));
}

function report({ onProgress, points }: TrainHeadsOptions, { step, heads }: TrainingState, steps: number): void {
  const figures = heads.map(({ bestScore: { loss, agreement } }, i) => {
    return `after ${points[i]} blocks: loss ${loss.toFixed(3)}, agrees in ${(100 * agreement).toFixed(1)} %`;
  });
  onProgress?.({ stage: "training exits", done: step, total: steps, detail: figures.join("; ") });
}
