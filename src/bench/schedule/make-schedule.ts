import os from "node:os";
import type { Artifact } from "../../artifact/reader.ts";
import { type Schedule, type ScheduleRow, scheduleMachine } from "../../artifact/schedule.ts";
import { ALL_DRAFTERS, type DecodeKind, DRAFTERS } from "../../decoding/drafters/index.ts";
import { type RunMemory, runMemory, type WeightPlace } from "../../decoding/memory-limit.ts";
import { type OpenModel, openModel } from "../../decoding/open-model.ts";
import { UserError } from "../../errors.ts";
import type { KvType } from "../../model/kv-type.ts";
import { planStream } from "../../model/stream-plan.ts";
import type { WorkOptions } from "../../progress.ts";
import type { ExecutorKind } from "../../runtime/executors.ts";
import { formatBytes } from "../../size-text.ts";
import { TOOL_VERSION } from "../../version.ts";
import { type DrafterRun, measureDrafters } from "../drafters/measure.ts";
import { readPrompts } from "../drafters/prompts.ts";
import { type DrafterSetup, PLAIN_SETUP } from "../drafters/setups.ts";
import { type ComputeCosts, type ComputeSetup, type CostOptions, measureCompute, measureStream } from "./costs.ts";
import { chooseRow, frontOf, type MeasuredDecode, type ScheduledArtifact, scheduleRows } from "./search.ts";

export interface ScheduleOptions extends WorkOptions {
  /** One that streams. */
  readonly executor: ExecutorKind;
  /** What the process may take; null: anything. */
  readonly memoryLimitBytes: number | null;
  readonly promptTokens: number;
  readonly generateTokens: number;
  /** Also settings whose text is another: other types of keys and values, drafters that are not lossless. */
  readonly otherText: boolean;
  /** Most threads that are tried: the physical cores. */
  readonly mostThreads: number;
  readonly repeats: number;
}

const CHUNK_ROWS = [64, 128, 256, 512];
const DRAFT_LIMITS = [2, 4, 8];
const PROMPTS = 3;

/**
 * Measures what an artifact's parts cost on this machine, and finds the settings whose turn is the shortest within the
 * memory limit. Throws UserError MEMORY_LIMIT where none is within it, BENCH where the context is too short for a turn.
 */
export async function makeSchedule(artifact: Artifact, options: ScheduleOptions): Promise<Schedule> {
  const { executor, memoryLimitBytes, promptTokens, generateTokens, otherText, mostThreads } = options;
  const { contextTokens, kvType } = artifact.memory;
  checkTurn(options, contextTokens);
  const turn = { promptTokens, generateTokens };
  const scheduled = scheduledArtifact(artifact, executor);
  const kvTypes: KvType[] = otherText ? [...new Set<KvType>([kvType, "f16", "q8"])] : [kvType];
  checkLimit(scheduled, kvTypes, memoryLimitBytes);
  const costing: CostOptions = {
    chunkRows: CHUNK_ROWS.filter((rows) => rows <= Math.max(CHUNK_ROWS[0], promptTokens) && rows <= contextTokens),
    position: promptTokens + Math.floor(generateTokens / 2),
    ...{ executor, repeats: options.repeats },
    ...{ signal: options.signal, onProgress: options.onProgress },
  };
  const setups = threadsUpTo(mostThreads).flatMap((threads) =>
    kvTypes.map((type): ComputeSetup => ({ threads, kvType: type, residency: "mapped" })),
  );
  const mapped = await measureCompute(artifact.label, setups, costing);
  const fastest = mapped.reduce((best, cost) => (cost.tokenMs < best.tokenMs ? cost : best));
  const { weightBytes, besideBytes } = scheduled.memoryOf(kvType, CHUNK_ROWS[0]);
  const inMemory = besideBytes + weightBytes <= (memoryLimitBytes ?? os.freemem());
  const compute = inMemory ? [...mapped, ...(await measureMemory(artifact.label, mapped, fastest, costing))] : mapped;
  const stream = await measureStream(artifact.label, threadsUpTo(mostThreads), kvType, costing);
  const { threads } = fastest;
  const decodes = {
    held: await measureDecodes(artifact.label, "mapped", threads, options),
    streamed: await measureDecodes(artifact.label, "streamed", threads, options),
  };
  const search = { memoryLimitBytes, turn };
  const rows = scheduleRows(scheduled, { compute, stream, decodes }, search);
  const chosen = chooseRow(rows, search) ?? tooSmall(memoryLimitBytes ?? 0, leastBytes(scheduled, kvTypes));
  return {
    ...{ formatVersion: 1, toolVersion: TOOL_VERSION, manifestSha256: artifact.manifestSha256 },
    ...{ machine: scheduleMachine(), memoryLimitBytes, turn, chosen: rounded(chosen) },
    front: frontOf(rows, search).map(rounded),
  };
}

/** All setups with weights in memory, by how much faster or slower the fastest one is with them there. */
async function measureMemory(
  folder: string,
  mapped: readonly ComputeCosts[],
  { threads, kvType }: ComputeSetup,
  costing: CostOptions,
): Promise<ComputeCosts[]> {
  const places = ["mapped", "memory"] as const;
  const setups = places.map((residency): ComputeSetup => ({ threads, kvType, residency }));
  const [there, here] = await measureCompute(folder, setups, costing);
  const factor = here.tokenMs / there.tokenMs;
  return mapped.map(({ tokenMs, ...cost }) => ({ ...cost, residency: "memory", tokenMs: tokenMs * factor }));
}

function checkTurn({ promptTokens, generateTokens }: ScheduleOptions, contextTokens: number): void {
  for (const [name, value] of Object.entries({ "prompt-tokens": promptTokens, "generate-tokens": generateTokens })) {
    if (Number.isInteger(value) && value >= 2) continue;
    throw new UserError("BENCH", `${name}: expected a whole number from 2 up, found ${value}`);
  }
  if (promptTokens + generateTokens <= contextTokens) return;
  const turn = `${promptTokens} prompt and ${generateTokens} generated tokens`;
  const hint = "ask for fewer with --prompt-tokens and --generate-tokens";
  throw new UserError("BENCH", `${turn}: the context is ${contextTokens} tokens`, hint);
}

/** 1, 2, 4 … and the most. */
function threadsUpTo(most: number): number[] {
  const powers = Array.from({ length: 10 }, (_, power) => 2 ** power).filter((threads) => threads < most);
  return [...powers, most];
}

function scheduledArtifact(artifact: Artifact, executor: ExecutorKind): ScheduledArtifact {
  const sums = new Map<string, RunMemory>();
  return {
    plannedKvType: artifact.memory.kvType,
    memoryOf(kvType, promptChunk) {
      const key = `${kvType} ${promptChunk}`;
      const sum = sums.get(key) ?? runMemory(artifact, { executor }, kvType, promptChunk);
      sums.set(key, sum);
      return sum;
    },
    streamedIn: (roomBytes) => planStream(artifact, roomBytes),
  };
}

function leastBytes(artifact: ScheduledArtifact, kvTypes: readonly KvType[]): number {
  const sums = kvTypes.map((kvType) => artifact.memoryOf(kvType, CHUNK_ROWS[0]));
  return Math.min(...sums.map((sum) => Math.max(sum.openingBytes, sum.besideBytes + sum.leastWeightBytes)));
}

/** Before anything is measured. */
function checkLimit(artifact: ScheduledArtifact, kvTypes: readonly KvType[], limitBytes: number | null): void {
  const least = leastBytes(artifact, kvTypes);
  if (limitBytes !== null && limitBytes < least) tooSmall(limitBytes, least);
}

function tooSmall(limitBytes: number, least: number): never {
  const found = `expected at least ${formatBytes(least)}, found ${formatBytes(limitBytes)}`;
  throw new UserError(
    "MEMORY_LIMIT",
    `memory limit: ${found}`,
    "allow more, or compress again with a smaller --context",
  );
}

/** Ways to decode on real prompts, beside plain decoding; where there is no other nothing is measured. */
async function measureDecodes(
  folder: string,
  weights: WeightPlace,
  threads: number,
  { executor, promptTokens, generateTokens, otherText, signal, onProgress }: ScheduleOptions,
): Promise<MeasuredDecode[]> {
  const plain = { decode: { kind: PLAIN_SETUP.decode.kind, options: {} }, lossless: true, ratio: 1 };
  await using model = await openModel(folder, { executor, threads, weights });
  const ways = await waysToDecode(model, otherText);
  if (ways.length === 0) return [plain];
  const { ids } = await readPrompts(model.tokenizer, { count: PROMPTS, maxTokens: promptTokens });
  const setups = ways.map(({ setup }) => setup);
  const runs = await measureDrafters(model, setups, { prompts: ids, generateTokens, signal, onProgress });
  const measured = runs.map(({ pairs }, i) => {
    const ratio = rateOf(pairs.map(({ run }) => run)) / rateOf(pairs.map(({ plain: beside }) => beside));
    return { decode: ways[i].decode, lossless: ways[i].lossless, ratio };
  });
  return [plain, ...measured];
}

/** Tokens a millisecond of several texts, over those after the first. */
function rateOf(runs: readonly DrafterRun[]): number {
  const tokens = runs.reduce((sum, { ids }) => sum + ids.length - 1, 0);
  return tokens / runs.reduce((sum, { generateMs }) => sum + (generateMs ?? 0), 0);
}

interface Way extends Omit<MeasuredDecode, "ratio"> {
  readonly setup: DrafterSetup;
}

/** Drafters that the model has what they need for, as they choose themselves and with draft limits. */
async function waysToDecode(model: OpenModel, otherText: boolean): Promise<Way[]> {
  const ways: Way[] = [];
  for (const { kind, needs, lossless, options } of ALL_DRAFTERS) {
    if (kind === PLAIN_SETUP.decode.kind || !(lossless || otherText)) continue;
    if (needs !== null && !(await needs.isThere(model))) continue;
    const limits = "draftLimit" in options.shape ? DRAFT_LIMITS.map((draftLimit) => ({ draftLimit })) : [];
    for (const request of [{}, ...limits]) ways.push(await wayOf(model, kind, request, lossless));
  }
  return ways;
}

async function wayOf(
  model: OpenModel,
  kind: DecodeKind,
  request: Readonly<Record<string, number>>,
  lossless: boolean,
): Promise<Way> {
  const name = [kind, ...Object.values(request)].join(" ");
  const decode = await DRAFTERS[kind].choose(model, request, false);
  const setup = { kind, name, exit: null, epsilon: null, draftLimit: request.draftLimit ?? null, decode };
  return { decode: { kind, options: request }, lossless, setup };
}

/** Speeds to four figures: more is noise. */
function rounded(row: ScheduleRow): ScheduleRow {
  const figures = (value: number) => Number(value.toPrecision(4));
  const { promptTokensPerSecond: prompt, generateTokensPerSecond: generate } = row;
  return { ...row, promptTokensPerSecond: figures(prompt), generateTokensPerSecond: figures(generate) };
}
