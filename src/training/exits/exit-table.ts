import type { Confidence, ExitTable } from "../../artifact/exits/table.ts";
import { type ExitShape, exitTensorBytes } from "../../model/exit-bytes.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { calibrateLevels, EPSILONS } from "./calibrate.ts";
import { type AskedHead, headAnswers } from "./head-answers.ts";
import { reportHeads } from "./lens-report.ts";
import type { Split } from "./splits.ts";
import type { SavedStates } from "./states.ts";

/** Heads whose thresholds are wanted, loaded into the executor that runs their trunk. */
export interface CalibratedHeads extends Pick<WorkOptions, "signal"> {
  readonly source: WeightSource;
  readonly executor: AnyExecutor;
  /** By rising blocks. */
  readonly asked: readonly AskedHead[];
  /** What each of them is in the file. */
  readonly stored: ExitShape["exits"][number];
  /** Null: the whole vocabulary. */
  readonly ids: Int32Array | null;
  readonly confidence: Confidence;
  /** Default {@link EPSILONS}. */
  readonly epsilons?: readonly number[] | undefined;
  /** Splits that nothing ran on are left out. */
  readonly states: Readonly<Record<"calibrate" | "report", SavedStates>> & Partial<Record<Split, SavedStates>>;
  readonly batchTokens: number;
  readonly seed: number;
  /** What computed what is stored, for people. */
  readonly backend: string;
}

/**
 * The table of heads as an artifact gets it: thresholds from the split for them, and what they do, and each head alone,
 * on a third.
 */
export async function calibratedTable(heads: CalibratedHeads): Promise<ExitTable> {
  const { source, executor, asked, stored, ids, confidence, states, signal } = heads;
  const points = asked.map(({ blocks }) => blocks);
  const answers = (saved: SavedStates) =>
    headAnswers(executor, asked, { saved, metric: confidence, ids, batchTokens: heads.batchTokens, signal });
  const found = { calibrate: await answers(states.calibrate), report: await answers(states.report) };
  const levels = calibrateLevels(found, {
    ...{ metric: confidence, epsilons: heads.epsilons ?? EPSILONS, points, blocks: source.spec.blocks.length },
    texts: states.report.sequences,
  });
  const reports = await reportHeads(executor, states.report, { points, answers: found.report, signal });
  const vocabulary: ExitShape["vocabulary"] = ids ? { ids: ids.length } : "full";
  const bytes = exitTensorBytes(source.spec, { exits: [stored], vocabulary }, 0);
  const tokensOf = (split: Split) => states[split]?.tokens ?? 0;
  return {
    exits: points.map((blocks) => ({ blocks, ...stored, bytes })),
    ...{ confidence, vocabulary, levels },
    training: {
      tokens: {
        ...{ train: tokensOf("train"), stop: tokensOf("stop") },
        ...{ calibrate: tokensOf("calibrate"), report: tokensOf("report") },
      },
      seed: heads.seed,
      backend: heads.backend,
      heads: reports,
    },
  };
}
