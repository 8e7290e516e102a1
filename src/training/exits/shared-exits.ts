import type { ExitTable } from "../../artifact/exits/table.ts";
import { exitHeadName } from "../../decoding/exits/exit-set.ts";
import { executorName } from "../../runtime/executor-info.ts";
import { calibratedTable } from "./exit-table.ts";
import { checkedPoints } from "./points.ts";
import { splitSequences } from "./splits.ts";
import { collectStates } from "./states.ts";
import type { TrainExitsOptions } from "./train-exits.ts";

/** Rows that are asked about at a time: each has logits of the whole vocabulary. */
const BATCH_TOKENS = 256;

/**
 * Exits of the model's own final norm and output head: there is nothing to train, and thresholds and reports come from
 * the same splits as those of trained heads. Throws as `trainExits`.
 */
export async function sharedExits(
  options: Omit<TrainExitsOptions, "kind" | "rank" | "vocabulary" | "settings">,
): Promise<ExitTable> {
  const { source, executor, modelId, folder, confidence, epsilons, seed, signal, onProgress } = options;
  const points = checkedPoints(source.spec.blocks.length, options.points);
  const split = splitSequences(options.sequences, seed);
  const collect = (name: "calibrate" | "report") =>
    collectStates({ executor, modelId, sequences: split[name], points, folder, name, onProgress, signal });
  const states = { calibrate: await collect("calibrate"), report: await collect("report") };
  return calibratedTable({
    ...{ source, executor, confidence, epsilons, states, seed, signal },
    asked: points.map((blocks) => ({ blocks, name: exitHeadName(blocks, "shared") })),
    stored: { kind: "shared", rank: null },
    ids: null,
    batchTokens: BATCH_TOKENS,
    backend: executorName(executor.info),
  });
}
