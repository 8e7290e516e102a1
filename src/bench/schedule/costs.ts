import type { KvType } from "../../model/kv-type.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { ExecutorKind } from "../../runtime/executors.ts";
import { emptyAnswers } from "../../runtime/head-answers.ts";
import { OUTPUT_HEAD } from "../../runtime/heads.ts";
import { type OpenSubject, openSubject } from "../bench-subject.ts";
import { Timer } from "../pass-costs.ts";
import { BenchSequence } from "../sequence.ts";

/** Measured milliseconds of a number of threads with weights that stay. */
export interface ComputeCosts {
  readonly threads: number;
  readonly kvType: KvType;
  readonly residency: "mapped" | "memory";
  /** One token, its answer included. */
  readonly tokenMs: number;
  /** A pass of so many rows of a prompt. */
  readonly chunks: readonly { readonly rows: number; readonly ms: number }[];
}

/** Reading weights while a number of threads computes with them: it takes of the processors' time as well. */
export interface StreamCosts {
  readonly threads: number;
  /** Of a token whose blocks are all read: at least what the disk gives. */
  readonly bytesPerSecond: number;
}

export interface CostOptions extends WorkOptions {
  readonly executor: ExecutorKind;
  readonly chunkRows: readonly number[];
  /** Positions before the token that is measured. */
  readonly position: number;
  readonly repeats: number;
}

/** Tokens whose mean is one measurement. */
const TOKENS = 8;
const FIRST = Int32Array.of(0);

/** One executor with sequences at the end of a prompt and before it. */
interface Bed {
  readonly subject: OpenSubject;
  readonly filled: BenchSequence;
  readonly empty: BenchSequence;
}

/** What is measured: threads, and where the weights are. */
export type ComputeSetup = Pick<ComputeCosts, "threads" | "kvType" | "residency">;

/**
 * Measures all setups turn about, and takes the fastest of the repeats: other programs on the machine only add to a
 * time.
 */
export async function measureCompute(
  folder: string,
  setups: readonly ComputeSetup[],
  options: CostOptions,
): Promise<ComputeCosts[]> {
  return withBeds(folder, setups, options, async (beds) => {
    const timer = new Timer(options);
    await timer.rounds(async (time) => {
      for (const [i, bed] of beds.entries()) {
        await time(`${i} token`, () => tokens(bed));
        for (const rows of options.chunkRows) await time(`${i} ${rows}`, () => bed.empty.pass(rows, blocksOf(bed)));
      }
    });
    return setups.map((setup, i) => ({
      ...setup,
      tokenMs: timer.spread(`${i} token`).min / TOKENS,
      chunks: options.chunkRows.map((rows) => ({ rows, ms: timer.spread(`${i} ${rows}`).min })),
    }));
  });
}

/** What streaming gives each number of threads where as little as possible stays in memory. */
export async function measureStream(
  folder: string,
  threadCounts: readonly number[],
  kvType: KvType,
  options: CostOptions,
): Promise<StreamCosts[]> {
  const setups = threadCounts.map((threads) => ({ threads, kvType, residency: "streamed" }) as const);
  return withBeds(folder, setups, options, async (beds) => {
    const timer = new Timer(options);
    await timer.rounds(async (time) => {
      for (const [i, bed] of beds.entries()) await time(`${i}`, () => tokens(bed));
    });
    return beds.map(({ subject }, i) => {
      const tokenBytes = subject.executor.info.streamed?.tokenBytes ?? 0;
      return { threads: threadCounts[i], bytesPerSecond: (1000 * TOKENS * tokenBytes) / timer.spread(`${i}`).min };
    });
  });
}

/** Work on executors that are all open; they are closed after it. */
async function withBeds<T>(
  folder: string,
  setups: readonly Parameters<typeof makeBed>[1][],
  options: CostOptions,
  work: (beds: readonly Bed[]) => Promise<T>,
): Promise<T> {
  const beds: Bed[] = [];
  try {
    for (const setup of setups) beds.push(await makeBed(folder, setup, options));
    return await work(beds);
  } finally {
    for (const bed of beds) await closeBed(bed);
  }
}

const blocksOf = ({ subject }: Bed) => subject.executor.spec.blocks.length;

async function makeBed(
  folder: string,
  { threads, residency, kvType }: { threads: number; residency: "mapped" | "memory" | "streamed"; kvType: KvType },
  { executor, position, chunkRows, signal }: CostOptions,
): Promise<Bed> {
  const subject = await openSubject(folder, { executor, threads, weights: residency, kvType });
  const sequence = (most: number) => new BenchSequence(subject.executor, most, kvType);
  const bed = { subject, filled: sequence(position + 1), empty: sequence(Math.max(...chunkRows)) };
  await bed.filled.fill(position, { signal });
  return bed;
}

async function closeBed({ subject, filled, empty }: Bed): Promise<void> {
  filled.close();
  empty.close();
  await subject.close();
}

/** Tokens as plain decoding computes them, one after the other. */
async function tokens({ subject, filled }: Bed): Promise<void> {
  const executor: AnyExecutor = subject.executor;
  const answers = { head: OUTPUT_HEAD, rows: FIRST, into: emptyAnswers(1) };
  for (let i = 0; i < TOKENS; i++) await filled.pass(1, executor.spec.blocks.length, { answers });
}
