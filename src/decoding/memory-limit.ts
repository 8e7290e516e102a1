import { planLayout } from "../artifact/artifact-layout.ts";
import type { Artifact } from "../artifact/reader.ts";
import { UserError } from "../errors.ts";
import type { KvType } from "../model/kv-type.ts";
import { layoutMemory } from "../model/memory.ts";
import { leastStreamBytes } from "../model/stream-plan.ts";
import { PROMPT_CHUNK_ROWS } from "../model/workspace.ts";
import { plannedBase } from "../runtime/base-bytes.ts";
import type { ExecutorOptions } from "../runtime/create-executor.ts";
import { formatBytes, shortBytes } from "../size-text.ts";

/**
 * Where packed weights are while a model runs. `mapped`: in the mapped files, whose pages the system reads and gives
 * up; `memory`: read into the process' own memory; `streamed`: as many blocks as fit there, the others read from disk
 * for every pass.
 */
export const WEIGHT_PLACES = ["mapped", "memory", "streamed"] as const;
export type WeightPlace = (typeof WEIGHT_PLACES)[number];

/** Hidden states of a pass alive at most: embedded, input and output. */
const HIDDEN_STATES = 3;
/** Rows of a prompt that streamed blocks are read for, where nothing else is asked for. */
const STREAMED_CHUNK_ROWS = 512;

/** Rows of a prompt that pass through the blocks at a time, by where the weights are. */
export function chunkRowsOf(place: WeightPlace): number {
  return place === "streamed" ? STREAMED_CHUNK_ROWS : PROMPT_CHUNK_ROWS;
}

/** What a process that runs an artifact takes beside blocks and output head, and what those take. */
export interface RunMemory {
  /** Runtime, tokenizer, keys and values, workspace, exits, norms. */
  readonly besideBytes: number;
  /** Blocks, output head and embedding where all of them are in memory. */
  readonly weightBytes: number;
  /** Blocks and output head where as much as can be is streamed. */
  readonly leastWeightBytes: number;
  /** While the tokenizer is read, before there are weights. */
  readonly openingBytes: number;
}

/** Items of the files that are in memory wherever blocks and output head are. */
const SMALL: ReadonlySet<string> = new Set(["vectors", "exits", "adapter", "header"]);

/** What running an artifact takes at its whole context, by the memory sum. */
export function runMemory(
  artifact: Artifact,
  { executor = "auto", backend = "auto" }: Pick<ExecutorOptions, "executor" | "backend">,
  kvType: KvType,
  promptChunk: number = STREAMED_CHUNK_ROWS,
): RunMemory {
  const { spec, manifest } = artifact;
  const { plan, maxFileBytes, exits, adapter } = manifest;
  const { runtimeBaseBytes, openingBytes } = plannedBase({ executor, backend }, spec);
  const sum = layoutMemory(spec, planLayout(spec, plan, maxFileBytes), { ...plan.memory, kvType, exits, adapter });
  const filed = sum.items.filter(({ where }) => where === "file");
  const small = filed.filter(({ key }) => SMALL.has(key));
  const smallBytes = small.reduce((bytes, item) => bytes + item.bytes, 0);
  return {
    besideBytes: sum.modelBytes - sum.fileBytes + smallBytes + runtimeBaseBytes + chunkBytes(artifact, promptChunk),
    weightBytes: sum.fileBytes - smallBytes,
    leastWeightBytes: leastStreamBytes(artifact),
    openingBytes,
  };
}

/** Hidden states of a pass of so many rows beyond those that the workspace provides for. */
function chunkBytes({ spec, memory }: Artifact, rows: number): number {
  const more = Math.min(rows, memory.contextTokens) - PROMPT_CHUNK_ROWS;
  return Math.max(0, more) * spec.hiddenSize * HIDDEN_STATES * 4;
}

/** Where weights go, and what blocks and output head may take there; undefined: the least. */
export interface PlacedWeights {
  readonly place: WeightPlace;
  readonly roomBytes: number | undefined;
}

/**
 * Where weights go under a limit on the process' memory: where they were asked to, else mapped if all fits, else
 * streamed. Throws UserError MEMORY_LIMIT where that is not possible.
 */
export function placeWeights(
  memory: RunMemory,
  asked: WeightPlace | undefined,
  limitBytes: number | undefined,
): PlacedWeights {
  if (limitBytes === undefined) return { place: asked ?? "mapped", roomBytes: undefined };
  const roomBytes = limitBytes - memory.besideBytes;
  const place = asked ?? (roomBytes >= memory.weightBytes ? "mapped" : "streamed");
  const weights = place === "streamed" ? memory.leastWeightBytes : memory.weightBytes;
  const least = Math.max(memory.openingBytes, memory.besideBytes + weights);
  if (limitBytes >= least) return { place, roomBytes };
  const parts = `${shortBytes(memory.besideBytes)} beside ${shortBytes(weights)} of weights`;
  throw new UserError(
    "MEMORY_LIMIT",
    `memory limit: expected at least ${formatBytes(least)} for weights ${place} (${parts}), found ${formatBytes(limitBytes)}`,
    place === "streamed"
      ? "allow more, or compress again with a smaller --context"
      : "allow more, or let them be streamed",
  );
}
