import { createHash } from "node:crypto";
import path from "node:path";
import { z } from "zod";
import { hashFile } from "../../artifact/content-hash.ts";
import { throwIfAborted, UserError } from "../../errors.ts";
import { isFile, readJsonFile, writeFileAtomic } from "../../formats/files.ts";
import { layoutSafetensors, openSafetensors, writeSafetensors } from "../../formats/safetensors/index.ts";
import { groupByRows, groupSequences } from "../../passes/rows.ts";
import { walkBlocks } from "../../passes/walk-blocks.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { executorName } from "../../runtime/executor-info.ts";
import { f16ToF32Array, f32ToF16Array } from "../../tensor/half.ts";
import { TOOL_VERSION } from "../../version.ts";
import { type Teacher, teacherOf } from "./teacher.ts";

/** Tokens of one shard at most, in whole sequences: 19 MB for four states of 576 numbers. */
const SHARD_TOKENS = 4096;
/** Rows of one pass of the executor. */
const ROWS_PER_PASS = 1024;
/** The largest f16: a state beyond it (the first token of a text, in some models) is cut off there. */
const MAX_F16 = 65504;
/** The part of the states (of their root of summed squares) that rounding may lose; of normal numbers it is 2^-12. */
const MOST_LOST = 2 ** -7;

/** What states are collected of, and where they are kept. */
export interface StatesRequest extends WorkOptions {
  /** Runs the packed trunk. */
  readonly executor: AnyExecutor;
  /** Names its weights. */
  readonly modelId: string;
  /** Each run on its own from position 0. */
  readonly sequences: readonly Int32Array[];
  /** Numbers of blocks run before each exit, rising. */
  readonly points: readonly number[];
  /** A folder that exists, and the start of the files' names in it. */
  readonly folder: string;
  readonly name: string;
  /** Tokens of one shard (default 4096). */
  readonly shardTokens?: number | undefined;
}

/** Hidden states and answers of some consecutive tokens. */
export interface StateShard {
  readonly tokens: number;
  /** By blocks run: those of the exits, and of the whole model. [tokens, hiddenSize] as f16 bits. */
  readonly states: ReadonlyMap<number, Uint16Array>;
  readonly teacher: Teacher;
}

/** States on disk; one shard at a time is in memory. */
export interface SavedStates {
  /** Tokens of all shards, and of each. */
  readonly tokens: number;
  readonly shards: readonly number[];
  /** Tokens of each sequence, in order. */
  readonly sequences: readonly number[];
  /** Reads a shard. */
  read(shard: number): Promise<StateShard>;
}

const Index = z.strictObject({
  key: z.string(),
  shards: z.array(z.strictObject({ tokens: z.number().int().positive(), sha256: z.string().nullable() })),
});
type Index = z.infer<typeof Index>;

/**
 * The states of all tokens before each exit and after the last block, with the whole model's answers, in files of
 * bounded size. Shards that are there, whole and of the same request are kept, so a killed run goes on where it was;
 * any other is computed. `<name>.json` lists them. Throws Interrupted between passes.
 */
export async function collectStates(request: StatesRequest): Promise<SavedStates> {
  const { folder, name, signal, onProgress } = request;
  const groups = groupByRows(request.sequences, ({ length }) => length, request.shardTokens ?? SHARD_TOKENS);
  const index = await openIndex(request, groups);
  const indexFile = path.join(folder, `${name}.json`);
  const total = index.shards.reduce((sum, { tokens }) => sum + tokens, 0);
  let done = 0;
  for (const [i, shard] of index.shards.entries()) {
    throwIfAborted(signal);
    const file = shardFile(request, i);
    if (shard.sha256 === null || !(await isWhole(file, shard.sha256))) {
      await writeShard(file, await computeShard(request, groups[i]), request);
      shard.sha256 = (await hashFile(file)).sha256;
      await writeFileAtomic(indexFile, `${JSON.stringify(index, null, 2)}\n`);
    }
    done += shard.tokens;
    onProgress?.({ stage: `exit states (${name})`, done, total });
  }
  return {
    tokens: total,
    shards: index.shards.map(({ tokens }) => tokens),
    sequences: groups.flat().map(({ length }) => length),
    read: (shard) => readShard(shardFile(request, shard), request),
  };
}

/** The index as it was left, where it is of this request; else one of shards that are all to be computed. */
async function openIndex(request: StatesRequest, groups: readonly Int32Array[][]): Promise<Index> {
  const file = path.join(request.folder, `${request.name}.json`);
  const key = keyOf(request);
  if (await isFile(file)) {
    const found = await readJsonFile(file, Index).catch((error: unknown) => {
      // A damaged index is as good as none: nothing in it cannot be computed again.
      if (error instanceof UserError) return null;
      throw error;
    });
    if (found?.key === key && found.shards.length === groups.length) return found;
  }
  const tokensOf = (group: readonly Int32Array[]) => group.reduce((sum, { length }) => sum + length, 0);
  return { key, shards: groups.map((group) => ({ tokens: tokensOf(group), sha256: null })) };
}

function keyOf({ executor, modelId, sequences, points, shardTokens }: StatesRequest): string {
  const hash = createHash("sha256");
  const { activations } = executor.info;
  hash.update(
    JSON.stringify([TOOL_VERSION, modelId, executorName(executor.info), activations, points, shardTokens ?? null]),
  );
  for (const ids of sequences) hash.update(`\n${ids.join()}`);
  return hash.digest("hex");
}

const shardFile = ({ folder, name }: StatesRequest, shard: number) =>
  path.join(folder, `${name}-${String(shard).padStart(5, "0")}.safetensors`);

async function isWhole(file: string, sha256: string): Promise<boolean> {
  return (await isFile(file)) && (await hashFile(file)).sha256 === sha256;
}

/** Runs the sequences of a shard, a few at a time, from exit to exit. */
async function computeShard(request: StatesRequest, sequences: readonly Int32Array[]): Promise<StateShard> {
  const { executor, points, signal } = request;
  const { hiddenSize, blocks } = executor.spec;
  const tokens = sequences.reduce((sum, { length }) => sum + length, 0);
  const depths = [...points, blocks.length];
  const states = new Map(depths.map((depth) => [depth, new Uint16Array(tokens * hiddenSize)]));
  const teacher: Teacher = { logSumExp: new Float32Array(tokens), argmax: new Int32Array(tokens) };
  let at = 0;
  for (const pass of groupSequences(sequences, ROWS_PER_PASS)) {
    const rows = pass.ids.length;
    await walkBlocks(executor, [pass], {
      depths,
      signal,
      see: async ({ depth, state }) => {
        const halves = states.get(depth);
        if (halves) narrow(await state.data(), halves.subarray(at * hiddenSize, (at + rows) * hiddenSize), depth);
        if (depth < blocks.length) return;
        const answers = await teacherOf(executor, state.hidden, rows);
        teacher.logSumExp.set(answers.logSumExp, at);
        teacher.argmax.set(answers.argmax, at);
      },
    });
    at += rows;
  }
  return { tokens, states, teacher };
}

/** Throws UserError EXIT_STATES where the states of a depth are so small that f16 loses them. */
function narrow(values: Float32Array, halves: Uint16Array, depth: number): void {
  const cut = values.map((value) => Math.min(MAX_F16, Math.max(-MAX_F16, value)));
  f32ToF16Array(cut, halves);
  const stored = f16ToF32Array(halves);
  let [squares, lost] = [0, 0];
  for (let i = 0; i < cut.length; i++) {
    squares += cut[i] * cut[i];
    lost += (cut[i] - stored[i]) ** 2;
  }
  if (lost <= MOST_LOST ** 2 * squares) return;
  const error = Math.sqrt(lost / squares).toPrecision(2);
  throw new UserError(
    "EXIT_STATES",
    `hidden states after ${depth} blocks: expected numbers that f16 can express, found smaller ones (relative error ${error})`,
    "exits cannot be trained on this model: leave `exits` out of the recipe",
  );
}

async function writeShard(file: string, { tokens, states, teacher }: StateShard, request: StatesRequest) {
  const { hiddenSize } = request.executor.spec;
  const depths = [...states].map(([depth, data]) => ({ name: `states.${depth}`, data }));
  const layout = layoutSafetensors([
    ...depths.map(({ name }) => ({ name, dtype: "F16" as const, shape: [tokens, hiddenSize] })),
    { name: "teacher.log_sum_exp", dtype: "F32", shape: [tokens] },
    { name: "teacher.argmax", dtype: "I32", shape: [tokens] },
  ]);
  const pieces = [
    ...depths,
    { name: "teacher.log_sum_exp", data: teacher.logSumExp },
    { name: "teacher.argmax", data: teacher.argmax },
  ].map(({ name, data }) => ({ name, bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) }));
  await writeSafetensors(file, layout, pieces);
}

async function readShard(file: string, { executor, points }: StatesRequest): Promise<StateShard> {
  const saved = await openSafetensors(file);
  try {
    const states = new Map<number, Uint16Array>();
    for (const depth of [...points, executor.spec.blocks.length]) {
      states.set(depth, new Uint16Array(await ownBytes(saved.readBytes(`states.${depth}`))));
    }
    const teacher = {
      logSumExp: new Float32Array(await ownBytes(saved.readBytes("teacher.log_sum_exp"))),
      argmax: new Int32Array(await ownBytes(saved.readBytes("teacher.argmax"))),
    };
    return { tokens: teacher.argmax.length, states, teacher };
  } finally {
    await saved.close();
  }
}

/** The bytes in a buffer of their own, aligned for numbers of any size. */
async function ownBytes(bytes: Promise<Uint8Array>): Promise<ArrayBuffer> {
  const found = await bytes;
  const own = new Uint8Array(found.byteLength);
  own.set(found);
  return own.buffer;
}
