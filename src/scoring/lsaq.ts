import { z } from "zod";
import { UserError } from "../errors.ts";
import { LOGIT_BYTES, rowsOfLogits } from "../evaluation/logit-rows.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { CosineDistance } from "./cosine.ts";
import {
  type BlockObserver,
  type BlockScorer,
  type HiddenState,
  parseOptions,
  type RowGroup,
  type ScoreFigures,
} from "./scorer.ts";
import { countShared, topTokens } from "./top-tokens.ts";

const LsaqOptions = z.strictObject({
  /** Size of the token sets. */
  k: z.number().int().positive().default(10),
  /** Final norm before the output head. */
  norm: z.boolean().default(true),
  /** `token`: every position; `mean`: the mean hidden state of a sequence; `last`: its last position. */
  pooling: z.enum(["token", "mean", "last"]).default("token"),
});
type LsaqOptions = z.infer<typeof LsaqOptions>;

/**
 * Weight of the cosine distance in the importance: it parts blocks of equal Jaccard importance and is far below any
 * difference that means something.
 */
const TIE_BREAK = 1e-9;

/**
 * LSAQ layer importance (arXiv 2412.18135): 1 - mean Jaccard overlap of the top-k token sets that the output head reads
 * from a block's input and from its output. Ties are broken by the cosine distance of the two.
 */
export const lsaq: BlockScorer = {
  kind: "blocks",
  summary: "LSAQ: how much a block changes the set of the k likeliest tokens (Jaccard)",
  predictsLoss: false,
  defaultCalibration: { sequences: 32, sequenceTokens: 128 },
  options: LsaqOptions,
  async start(context, executor, raw): Promise<BlockObserver> {
    const options = parseOptions("lsaq", LsaqOptions, raw);
    const { vocabSize, blocks } = context.source.spec;
    if (options.k > vocabSize) {
      throw new UserError("SCORER_OPTIONS", `scorer lsaq: k: expected at most ${vocabSize}, found ${options.k}`);
    }
    return observe(executor, blocks.length, options);
  },
};

function observe(executor: AnyExecutor, blocks: number, options: LsaqOptions): BlockObserver {
  // [block][common tokens] -> times
  const shared = Array.from({ length: blocks }, () => new Float64Array(options.k + 1));
  const distance = new CosineDistance(blocks);
  const before: Int32Array[][] = [];
  return {
    async begin(group, embedded) {
      before[group.index] = await tokenSets(executor, group, embedded, options);
    },
    async step(step) {
      const after = await tokenSets(executor, step.group, step.output, options);
      after.forEach((set, i) => {
        shared[step.block][countShared(before[step.group.index][i], set)]++;
      });
      before[step.group.index] = after;
      await distance.add(step);
    },
    finish(): ScoreFigures {
      const distances = distance.means();
      const importance = shared.map((times, block) => 1 - meanJaccard(times) + TIE_BREAK * distances[block]);
      return { options, importance, losses: null };
    },
  };
}

/**
 * Mean of m / (2k - m) over the sets, counted by the number m of common tokens so that equal blocks come out exactly
 * equal.
 */
function meanJaccard(times: Float64Array): number {
  const k = times.length - 1;
  let sum = 0;
  let sets = 0;
  times.forEach((count, m) => {
    sum += (count * m) / (2 * k - m);
    sets += count;
  });
  return sum / sets;
}

/** The top-k sets of a state: one a position (`token`) or one a sequence. */
async function tokenSets(
  executor: AnyExecutor,
  group: RowGroup,
  state: HiddenState,
  options: LsaqOptions,
): Promise<Int32Array[]> {
  if (options.pooling !== "mean")
    return projectRows(executor, state.hidden, pooledRows(group, options.pooling), options);
  const means = meanRows(group, await state.data());
  const hidden = executor.write(means, group.spans.length);
  try {
    return await projectRows(executor, hidden, Int32Array.from(group.spans.keys()), options);
  } finally {
    executor.release(hidden);
  }
}

async function projectRows(
  executor: AnyExecutor,
  hidden: unknown,
  rows: Int32Array,
  options: LsaqOptions,
): Promise<Int32Array[]> {
  const { vocabSize } = executor.spec;
  const chunk = rowsOfLogits(vocabSize, 2 * LOGIT_BYTES);
  const sets: Int32Array[] = [];
  for (let from = 0; from < rows.length; from += chunk) {
    const part = rows.subarray(from, from + chunk);
    const logits = await executor.logits(hidden, part, { norm: options.norm });
    for (let i = 0; i < part.length; i++) {
      sets.push(topTokens(logits.subarray(i * vocabSize, (i + 1) * vocabSize), options.k));
    }
  }
  return sets;
}

function pooledRows(group: RowGroup, pooling: "token" | "last"): Int32Array {
  if (pooling === "token") return Int32Array.from(group.ids.keys());
  let end = 0;
  return Int32Array.from(group.spans, (span) => {
    end += span.count;
    return end - 1;
  });
}

/** Mean over each sequence's positions. data: [rows, hiddenSize]; result: [sequences, hiddenSize]. */
function meanRows(group: RowGroup, data: Float32Array): Float32Array {
  const width = data.length / group.ids.length;
  const out = new Float32Array(group.spans.length * width);
  let row = 0;
  group.spans.forEach((span, sequence) => {
    for (let col = 0; col < width; col++) {
      let sum = 0;
      for (let i = row; i < row + span.count; i++) sum += data[i * width + col];
      out[sequence * width + col] = sum / span.count;
    }
    row += span.count;
  });
  return out;
}
