import { createHash } from "node:crypto";
import path from "node:path";
import type { Confidence, ExitTable } from "../../artifact/exits/table.ts";
import { readOutputVectors } from "../../model/output-vectors.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { BackendInfo, BackendOptions } from "../../runtime/tfjs/backend.ts";
import { openTrainingBackend } from "../../runtime/tfjs/backend.ts";
import { TOOL_VERSION } from "../../version.ts";
import { calibratedTable } from "./exit-table.ts";
import { loadTrainedHeads } from "./head-answers.ts";
import type { HeadKind, HeadStart } from "./head-parameters.ts";
import { checkedPoints } from "./points.ts";
import { type Split, splitSequences } from "./splits.ts";
import { collectStates, type SavedStates } from "./states.ts";
import { type TrainedHead, type TrainHeadsOptions, trainHeads } from "./train-heads.ts";
import { TRAINING_DEFAULTS, type TrainingSettings } from "./training-settings.ts";
import { frequentIds, gatherHeadRows } from "./vocabulary.ts";

/** What exits are trained for, and how. */
export interface TrainExitsOptions extends WorkOptions, BackendOptions {
  /** The packed trunk, what runs it (and knows the trained heads afterwards), and a name of its weights. */
  readonly source: WeightSource;
  readonly executor: AnyExecutor;
  readonly modelId: string;
  /** Text: each sequence is run on its own from position 0. */
  readonly sequences: readonly Int32Array[];
  /** A folder that exists; states and the training's state are kept there. */
  readonly folder: string;
  /** Blocks run before each exit. */
  readonly points: readonly number[];
  readonly kind: HeadKind;
  /** Of adapters. */
  readonly rank: number;
  /** How many ids the heads score. */
  readonly vocabulary: number | "full";
  readonly confidence: Confidence;
  /** Default {@link EPSILONS}. */
  readonly epsilons?: readonly number[] | undefined;
  readonly seed: number;
  /** In place of the defaults of the kind. */
  readonly settings?: Partial<TrainingSettings> | undefined;
}

/** Exits ready to be stored. */
export interface TrainedExits {
  /** By rising blocks. */
  readonly heads: readonly TrainedHead[];
  /** Rising; null: the whole vocabulary. */
  readonly ids: Int32Array | null;
  readonly table: ExitTable;
}

/**
 * Trains early exits on a frozen packed model (Valade 2024, arXiv 2407.21082): its states on disk, heads that imitate
 * its answers, thresholds on text of their own, a report on a third. Interrupted, it goes on where it was, to the same
 * bytes for the same backend, version and threads. Throws UserError for points or text that do not fit.
 */
export async function trainExits(options: TrainExitsOptions): Promise<TrainedExits> {
  const { source, kind, confidence, seed, signal } = options;
  const { spec } = source;
  const points = checkedPoints(spec.blocks.length, options.points);
  const backend = await openTrainingBackend(options);
  const ids = idsOf(options);
  const states = await collectSplits(options, points);
  const start = await startOf(options, ids);
  const settings = { ...TRAINING_DEFAULTS[kind], ...options.settings };
  const heads = await trainHeads({
    ...{ start, norm: spec.finalNorm, points, blocks: spec.blocks.length, ids, settings, seed },
    ...{ train: states.train, stop: states.stop, signal, onProgress: options.onProgress },
    stateFile: path.join(options.folder, "training.safetensors"),
    key: trainingKey(options, { points, settings, backend, ids }),
  });
  const asked = await loadTrainedHeads(options.executor, { source, kind, heads, ids });
  const { backend: name, version, threads } = backend;
  const table = await calibratedTable({
    ...{ source, executor: options.executor, asked, ids, confidence, epsilons: options.epsilons, states, seed, signal },
    stored: { kind, rank: kind === "adapter" ? options.rank : null },
    batchTokens: settings.batchTokens,
    backend: `${name} ${version}, ${threads} threads`,
  });
  return { heads, ids, table };
}

function idsOf({ sequences, vocabulary, source: { spec } }: TrainExitsOptions): Int32Array | null {
  if (vocabulary === "full") return null;
  return frequentIds(sequences, { count: vocabulary, vocabSize: spec.vocabSize, always: spec.eosTokens });
}

async function startOf({ source, kind, rank }: TrainExitsOptions, ids: Int32Array | null): Promise<HeadStart> {
  return { kind, rank, rows: await gatherHeadRows(source, ids), norm: (await readOutputVectors(source)).norm };
}

/** The states of every split. */
async function collectSplits(
  { executor, modelId, sequences, folder, seed, onProgress, signal }: TrainExitsOptions,
  points: readonly number[],
): Promise<Record<Split, SavedStates>> {
  const split = splitSequences(sequences, seed);
  const collect = (name: Split) =>
    collectStates({ executor, modelId, sequences: split[name], points, folder, name, onProgress, signal });
  return {
    train: await collect("train"),
    stop: await collect("stop"),
    calibrate: await collect("calibrate"),
    report: await collect("report"),
  };
}

/** Names all that decides the bytes of the heads. */
function trainingKey(
  { modelId, sequences, kind, rank, seed, executor }: TrainExitsOptions,
  { points, settings, backend, ids }: Pick<TrainHeadsOptions, "points" | "settings" | "ids"> & { backend: BackendInfo },
): string {
  const { executor: ran, isa, backend: on, activations } = executor.info;
  const { backend: name, version, threads } = backend;
  const hash = createHash("sha256");
  hash.update(
    JSON.stringify([
      ...[TOOL_VERSION, modelId, points, kind, rank, seed, settings],
      ...[ran, isa, on, activations, name, version, threads],
      ids && [...ids],
    ]),
  );
  for (const sequence of sequences) hash.update(`\n${sequence.join()}`);
  return hash.digest("hex");
}
