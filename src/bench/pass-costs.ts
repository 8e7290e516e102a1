import { z } from "zod";
import type { Artifact } from "../artifact/reader.ts";
import { CODECS } from "../codecs/index.ts";
import { throwIfAborted, UserError } from "../errors.ts";
import { headMatrixId } from "../model/decoder-spec.ts";
import type { KvType } from "../model/kv-type.ts";
import { readOutputVectors } from "../model/output-vectors.ts";
import type { PackedMatrix } from "../model/weight-source.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import type { ExitHead } from "../runtime/heads.ts";
import { BenchSequence } from "./sequence.ts";
import { Spread, spreadOf } from "./spread.ts";

/** What passes of a few rows cost: it decides how much speculative decoding can gain. */
export const PassCosts = z.strictObject({
  /** Positions in the cache before each pass. */
  position: z.number().int().nonnegative(),
  /** Rows through all blocks, with logits for every row; `ratio`: median over the median of one row. */
  rows: z.array(z.strictObject({ rows: z.number().int().positive(), ms: Spread, ratio: z.number() })),
  /** One row through blocks [0, blocks), no logits. */
  blocks: z.array(z.strictObject({ blocks: z.number().int().positive(), ms: Spread })),
  /** Logits of one row. */
  outputHeadMs: Spread,
  /** Logits of one row over the first ids only, by a matrix of the output head's codec. */
  exitHead: z.strictObject({ ids: z.number().int().positive(), codec: z.string(), ms: Spread }).nullable(),
});
export type PassCosts = z.infer<typeof PassCosts>;

export interface PassCostOptions extends WorkOptions {
  /** Numbers of rows; 1 is measured in any case. */
  readonly rows: readonly number[];
  readonly position: number;
  readonly contextTokens: number;
  readonly kvType: KvType;
  readonly repeats: number;
  readonly now?: (() => number) | undefined;
}

/** Ids of the exit head that is measured. */
const EXIT_IDS = 8192;
const EXIT_NAME = "bench";

/**
 * Measures all of them turn about, so that a machine that slows down slows all alike. `artifact`: null leaves the exit
 * head out.
 */
export async function measurePassCosts(
  executor: AnyExecutor,
  artifact: Artifact | null,
  options: PassCostOptions,
): Promise<PassCosts> {
  const rows = [...new Set([1, ...options.rows])].sort((a, b) => a - b);
  checkRows(rows, options);
  const { spec } = executor;
  const depths = [...new Set([1, 2, 3, 4].map((quarter) => Math.ceil((spec.blocks.length * quarter) / 4)))];
  const exit = artifact && (await exitHeadOf(artifact));
  if (exit) await executor.loadHead(EXIT_NAME, exit.head);
  const sequence = new BenchSequence(executor, options.contextTokens, options.kvType);
  try {
    await sequence.fill(options.position, options);
    const timer = new Timer(options);
    const logits = new Float32Array(Math.max(...rows) * spec.vocabSize);
    const exitLogits = new Float32Array(exit?.ids ?? 0);
    const all = spec.blocks.length;
    await timer.rounds(async (time) => {
      for (const count of rows) {
        const into = logits.subarray(0, count * spec.vocabSize);
        const wanted = { rows: Int32Array.from({ length: count }, (_, row) => row), into };
        await time(`rows ${count}`, () => sequence.pass(count, all, { logits: wanted }));
      }
      for (const depth of depths) await time(`blocks ${depth}`, () => sequence.pass(1, depth));
      const heads = async (hidden: unknown) => {
        await time("head", () => executor.logits(hidden, undefined, { into: logits.subarray(0, spec.vocabSize) }));
        if (exit) await time("exit", () => executor.logits(hidden, undefined, { head: EXIT_NAME, into: exitLogits }));
      };
      await sequence.pass(1, all, { use: heads });
    });
    const one = timer.spread("rows 1").median;
    const costs = rows.map((count) => ({ rows: count, ms: timer.spread(`rows ${count}`) }));
    return {
      position: options.position,
      rows: costs.map((cost) => ({ ...cost, ratio: cost.ms.median / one })),
      blocks: depths.map((blocks) => ({ blocks, ms: timer.spread(`blocks ${blocks}`) })),
      outputHeadMs: timer.spread("head"),
      exitHead: exit && { ids: exit.ids, codec: exit.codec, ms: timer.spread("exit") },
    };
  } finally {
    sequence.close();
  }
}

function checkRows(rows: readonly number[], { position, contextTokens }: PassCostOptions): void {
  const bad = rows.find((count) => !Number.isInteger(count) || count < 1 || position + count > contextTokens);
  if (bad === undefined) return;
  const expected = `whole numbers from 1 to ${contextTokens - position} (context less prompt)`;
  throw new UserError("BENCH", `rows: expected ${expected}, found ${bad}`);
}

/** A head over the first ids: the first tiles of the output head's matrix, with the final norm. */
async function exitHeadOf(artifact: Artifact): Promise<{ head: ExitHead; ids: number; codec: string }> {
  const { spec } = artifact;
  const whole = await artifact.readMatrix(headMatrixId(spec));
  const ids = Math.min(EXIT_IDS, whole.rows);
  const bytes = whole.bytes.subarray(0, CODECS[whole.codec].packedBytes(ids, whole.cols));
  const matrix: PackedMatrix = { ...whole, rows: ids, bytes };
  const norm = { spec: spec.finalNorm, ...(await readOutputVectors(artifact)).norm };
  return { head: { norm, adapter: null, matrix, bias: null, tail: null }, ids, codec: whole.codec };
}

/** How a timer repeats. */
export type TimerOptions = WorkOptions & Pick<PassCostOptions, "repeats" | "now">;

/** Collects times by name over rounds; the first round is a warm-up. */
export class Timer {
  private readonly times = new Map<string, number[]>();
  private readonly options: TimerOptions;

  constructor(options: TimerOptions) {
    this.options = options;
  }

  async rounds(round: (time: (name: string, work: () => Promise<unknown>) => Promise<void>) => Promise<void>) {
    const { repeats, signal, onProgress, now = () => performance.now() } = this.options;
    for (let i = 0; i <= repeats; i++) {
      throwIfAborted(signal);
      await round(async (name, work) => {
        const started = now();
        await work();
        const taken = now() - started;
        if (i > 0) this.times.set(name, [...(this.times.get(name) ?? []), taken]);
      });
      onProgress?.({ stage: "timing passes", done: i, total: repeats });
    }
  }

  spread(name: string): Spread {
    return spreadOf(this.times.get(name) ?? []);
  }
}
