import type { ScheduleRow } from "../../artifact/schedule.ts";
import type { RunMemory } from "../../decoding/memory-limit.ts";
import type { KvType } from "../../model/kv-type.ts";
import type { ComputeCosts, StreamCosts } from "./costs.ts";

/** A way to decode, and how many times as fast as plain decoding it is. */
export interface MeasuredDecode {
  readonly decode: ScheduleRow["decode"];
  readonly lossless: boolean;
  readonly ratio: number;
}

/** What of an artifact the search needs. */
export interface ScheduledArtifact {
  readonly plannedKvType: KvType;
  memoryOf(kvType: KvType, promptChunk: number): RunMemory;
  /** What weights streamed within so much room take, and what a token reads; null: too little room. */
  streamedIn(roomBytes: number): { readonly heldBytes: number; readonly tokenBytes: number } | null;
}

export interface SearchOptions {
  readonly memoryLimitBytes: number | null;
  readonly turn: { readonly promptTokens: number; readonly generateTokens: number };
}

/** Everything that was measured. */
export interface ScheduleCosts {
  readonly compute: readonly ComputeCosts[];
  /** By number of threads, every one of `compute`'s. */
  readonly stream: readonly StreamCosts[];
  /** With weights that stay, and with streamed ones. Plain decoding is among them. */
  readonly decodes: Readonly<Record<"held" | "streamed", readonly MeasuredDecode[]>>;
}

/** Shares of the weights that stay in streamed rows where no limit says how many. */
const STREAMED_SHARES = [0, 0.25, 0.5, 0.75];
/** Rows that are as fast as the fastest but for this share are as good: then less memory counts. */
const AS_FAST = 0.01;

/** Every combination of settings with its memory and its speeds by the cost model. */
export function scheduleRows(
  artifact: ScheduledArtifact,
  { compute, stream, decodes }: ScheduleCosts,
  { memoryLimitBytes }: SearchOptions,
): ScheduleRow[] {
  // What stays of streamed weights is in memory.
  const streamedLike = compute.some(({ residency }) => residency === "memory") ? "memory" : "mapped";
  return compute.flatMap(({ threads, kvType, residency, tokenMs, chunks }) => {
    const { bytesPerSecond } = streamOf(stream, threads);
    return chunks.flatMap(({ rows: promptChunk, ms }) => {
      const memory = artifact.memoryOf(kvType, promptChunk);
      const held = { residency, readBytes: 0, memoryBytes: memory.besideBytes + memory.weightBytes, limit: null };
      const streamed = residency === streamedLike ? streamedPlaces(artifact, memory, memoryLimitBytes) : [];
      return [held, ...streamed].flatMap((place) => {
        const readMs = (1000 * place.readBytes) / bytesPerSecond;
        const ways = decodes[place.residency === "streamed" ? "streamed" : "held"];
        return ways.map(({ decode, lossless, ratio }) => ({
          ...{ threads, promptChunk, kvType, residency: place.residency, memoryLimitBytes: place.limit, decode },
          memoryBytes: Math.max(place.memoryBytes, memory.openingBytes),
          promptTokensPerSecond: (1000 * promptChunk) / Math.max(ms, readMs),
          generateTokensPerSecond: (1000 * ratio) / Math.max(tokenMs, readMs),
          sameText: lossless && kvType === artifact.plannedKvType,
        }));
      });
    });
  });
}

/** Where weights may be: what a pass reads of them, what the process takes, and the limit that it is to be given. */
interface Place {
  readonly residency: ScheduleRow["residency"];
  readonly readBytes: number;
  readonly memoryBytes: number;
  readonly limit: number | null;
}

function streamedPlaces(artifact: ScheduledArtifact, memory: RunMemory, limitBytes: number | null): Place[] {
  return roomsOf(memory, limitBytes).flatMap((roomBytes): Place[] => {
    const streamed = artifact.streamedIn(roomBytes);
    if (!streamed || streamed.tokenBytes === 0) return [];
    const memoryBytes = memory.besideBytes + streamed.heldBytes;
    const limit = memory.besideBytes + roomBytes;
    return [{ residency: "streamed", readBytes: streamed.tokenBytes, memoryBytes, limit }];
  });
}

function streamOf(stream: readonly StreamCosts[], threads: number): StreamCosts {
  const found = stream.find((costs) => costs.threads === threads);
  if (!found) throw new Error(`schedule: streaming was not measured with ${threads} threads`);
  return found;
}

/** Rooms that streamed weights are tried in. */
function roomsOf(memory: RunMemory, limitBytes: number | null): number[] {
  const { leastWeightBytes: least, weightBytes } = memory;
  const shares = STREAMED_SHARES.map((share) => Math.ceil(least + (weightBytes - least) * share));
  return limitBytes === null ? shares : [...shares, limitBytes - memory.besideBytes].filter((room) => room >= least);
}

/** Seconds of a turn. */
export function turnSeconds(row: ScheduleRow, { promptTokens, generateTokens }: SearchOptions["turn"]): number {
  return promptTokens / row.promptTokensPerSecond + generateTokens / row.generateTokensPerSecond;
}

/**
 * The row within the limit whose turn is shortest; of those that are as fast but for 1 % the one of the least memory,
 * and of these the first. Null where none is within it.
 */
export function chooseRow(rows: readonly ScheduleRow[], { memoryLimitBytes, turn }: SearchOptions): ScheduleRow | null {
  const allowed = rows.filter(({ memoryBytes }) => memoryBytes <= (memoryLimitBytes ?? Number.POSITIVE_INFINITY));
  if (allowed.length === 0) return null;
  const least = Math.min(...allowed.map((row) => turnSeconds(row, turn)));
  return allowed
    .filter((row) => turnSeconds(row, turn) <= least * (1 + AS_FAST))
    .reduce((best, row) => (row.memoryBytes < best.memoryBytes ? row : best));
}

/** By rising memory, the rows that no row of as little memory is faster than. */
export function frontOf(rows: readonly ScheduleRow[], { turn }: SearchOptions): ScheduleRow[] {
  const sorted = rows.toSorted((a, b) => a.memoryBytes - b.memoryBytes || turnSeconds(a, turn) - turnSeconds(b, turn));
  const front: ScheduleRow[] = [];
  for (const row of sorted) {
    const last = front.at(-1);
    if (!last || turnSeconds(row, turn) < turnSeconds(last, turn) * (1 - AS_FAST)) front.push(row);
  }
  return front;
}
