import { UserError } from "../../errors.ts";
import { groupSequences } from "../../passes/rows.ts";
import { everyDepth, walkBlocks } from "../../passes/walk-blocks.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { outputAnswers } from "./output-answers.ts";

/** Rows of one pass where the logit lens is measured. */
const ROWS_PER_PASS = 512;

/**
 * So many exits, evenly spaced: floor(i L / (n + 1)) is the index of the block before the i-th, i = 1..n (Valade 2024,
 * arXiv 2407.21082). In numbers of blocks run, rising, each in [1, L - 1]. Throws UserError EXIT_POINTS where the model
 * has too few blocks.
 */
export function evenly(blocks: number, count: number): number[] {
  if (!Number.isInteger(count) || count < 1 || count > blocks - 1) {
    throw new UserError(
      "EXIT_POINTS",
      `exits: count: expected 1 to ${blocks - 1} for a model of ${blocks} blocks, found ${count}`,
      "ask for fewer exits",
    );
  }
  // With an exit after every block the rule would put the last one at the output head.
  if (count === blocks - 1) return Array.from({ length: count }, (_, i) => i + 1);
  return Array.from({ length: count }, (_, i) => Math.floor(((i + 1) * blocks) / (count + 1)) + 1);
}

/**
 * Points that a user named, sorted. Throws UserError EXIT_POINTS where one is no number of blocks before the last, or
 * comes twice.
 */
export function checkedPoints(blocks: number, points: readonly number[]): number[] {
  const sorted = [...points].sort((a, b) => a - b);
  const wrong = sorted.find((point, i) => {
    return !Number.isInteger(point) || point < 1 || point > blocks - 1 || point === sorted[i - 1];
  });
  if (sorted.length === 0 || wrong !== undefined) {
    throw new UserError(
      "EXIT_POINTS",
      `exits: expected different numbers of blocks from 1 to ${blocks - 1}, found ${points.join(", ") || "none"}`,
      "name the blocks that run before each exit, e.g. 8,16,24",
    );
  }
  return sorted;
}

/**
 * Share of rows whose answer by the logit lens (final norm and output head) after each block is the whole model's:
 * entry i is after i + 1 blocks, [blocks - 1].
 */
export async function lensAgreement(
  executor: AnyExecutor,
  sequences: readonly Int32Array[],
  { onProgress, signal }: WorkOptions = {},
): Promise<number[]> {
  const blocks = executor.spec.blocks.length;
  const agreeing = new Array<number>(blocks - 1).fill(0);
  let rows = 0;
  const passes = groupSequences(sequences, ROWS_PER_PASS);
  for (const [done, pass] of passes.entries()) {
    const answers: Int32Array[] = [];
    await walkBlocks(executor, [pass], {
      depths: everyDepth(blocks),
      signal,
      see: async ({ state }) => {
        answers.push(await outputAnswers(executor, state.hidden, pass.ids.length));
      },
    });
    const last = answers[blocks - 1];
    for (let block = 0; block < blocks - 1; block++) {
      for (let row = 0; row < last.length; row++) if (answers[block][row] === last[row]) agreeing[block]++;
    }
    rows += last.length;
    onProgress?.({ stage: "logit lens", done: done + 1, total: passes.length });
  }
  return agreeing.map((count) => (rows === 0 ? 0 : count / rows));
}

/**
 * So many exits where the answers by depth promise most: the points b that save most blocks if a token leaves at the
 * first exit whose answer is right, sum of (a(b_i) - a(b_(i-1))) (L - b_i), with `agreement` made to rise. agreement:
 * of {@link lensAgreement}. Falls back on even spacing where no block ever agrees.
 */
export function choosePoints(agreement: readonly number[], count: number): number[] {
  const blocks = agreement.length + 1;
  const even = evenly(blocks, count);
  const rising: number[] = [];
  for (const value of agreement) rising.push(Math.max(value, rising.at(-1) ?? 0));
  if (rising[rising.length - 1] === 0) return even;
  /** Of the plans that end at each point, the best with as many exits as rounds have been made. */
  let plans = rising.map((share, i): Plan => ({ saved: share * (blocks - i - 1), points: [i + 1] }));
  for (let exits = 2; exits <= count; exits++) {
    plans = rising.map((share, i) => {
      let best: Plan = { saved: Number.NEGATIVE_INFINITY, points: [] };
      for (let before = exits - 2; before < i; before++) {
        const saved = plans[before].saved + (share - rising[before]) * (blocks - i - 1);
        if (saved > best.saved) best = { saved, points: [...plans[before].points, i + 1] };
      }
      return best;
    });
  }
  return plans.reduce((best, plan) => (plan.saved > best.saved ? plan : best)).points;
}

interface Plan {
  readonly saved: number;
  readonly points: number[];
}
