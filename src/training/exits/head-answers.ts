import { setImmediate } from "node:timers/promises";
import type { Confidence } from "../../artifact/exits/table.ts";
import { confidencesOf, exitHeadName } from "../../decoding/exits/exit-set.ts";
import { exitHeadOf, sharedRows } from "../../decoding/exits/load.ts";
import { throwIfAborted } from "../../errors.ts";
import type { WeightSource } from "../../model/weight-source.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { emptyAnswers } from "../../runtime/head-answers.ts";
import { allBatches } from "./batches.ts";
import { exitWeightsOf, type HeadKind } from "./head-parameters.ts";
import type { SavedStates } from "./states.ts";
import type { ExitAnswers } from "./thresholds.ts";
import type { TrainedHead } from "./train-heads.ts";

/** An exit head that an executor has loaded. */
export interface AskedHead {
  /** Blocks run before it. */
  readonly blocks: number;
  readonly name: string;
}

/** Trained heads of one kind, and the ids that they score. */
interface LoadedHeads {
  readonly source: WeightSource;
  readonly kind: HeadKind;
  readonly heads: readonly TrainedHead[];
  readonly ids: Int32Array | null;
}

/** Makes trained heads known to the executor that runs their trunk, as an artifact's reader would (load-exits.ts). */
export async function loadTrainedHeads(
  executor: AnyExecutor,
  { source, kind, heads, ids }: LoadedHeads,
): Promise<AskedHead[]> {
  const shared = await sharedRows(source, ids);
  const asked = heads.map(({ blocks }): AskedHead => ({ blocks, name: exitHeadName(blocks, kind) }));
  for (const [i, { parameters }] of heads.entries()) {
    await executor.loadHead(asked[i].name, exitHeadOf(source.spec, exitWeightsOf(parameters), shared));
  }
  return asked;
}

/** Of which tokens, by which metric heads are asked, and against which ids (null: all). */
export interface AnswerOptions extends Pick<WorkOptions, "signal"> {
  readonly saved: SavedStates;
  readonly metric: Confidence;
  readonly ids: Int32Array | null;
  readonly batchTokens: number;
}

/**
 * What each head says of every token, and whether that is the whole model's answer. The executor that runs the model is
 * asked, not the backend that trained: thresholds hold for the very numbers that decoding compares with them.
 */
export async function headAnswers(
  executor: AnyExecutor,
  heads: readonly AskedHead[],
  { saved, metric, ids, batchTokens, signal }: AnswerOptions,
): Promise<ExitAnswers[]> {
  const answers = heads.map(() => ({
    confidence: new Float32Array(saved.tokens),
    agrees: new Uint8Array(saved.tokens),
    outside: new Uint8Array(saved.tokens),
  }));
  const said = emptyAnswers(batchTokens);
  let at = 0;
  for await (const { rows, states, argmax } of allBatches(saved, batchTokens)) {
    await setImmediate();
    throwIfAborted(signal);
    const all = Int32Array.from({ length: rows }, (_, row) => row);
    for (const [i, { blocks, name }] of heads.entries()) {
      const numbers = states.get(blocks);
      if (!numbers) throw new Error(`exits: no states after ${blocks} blocks`);
      const hidden: unknown = executor.write(numbers, rows);
      try {
        await executor.answers(hidden, all, { head: name, into: said });
      } finally {
        executor.release(hidden);
      }
      answers[i].confidence.set(confidencesOf(said, metric).subarray(0, rows), at);
      for (let row = 0; row < rows; row++) {
        const best = said.best[row];
        const outside = ids !== null && best === ids.length;
        answers[i].outside[at + row] = outside ? 1 : 0;
        answers[i].agrees[at + row] = !outside && (ids ? ids[best] : best) === argmax[row] ? 1 : 0;
      }
    }
    at += rows;
  }
  return answers;
}
