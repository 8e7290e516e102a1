import { f16ToF32Array } from "../../tensor/half.ts";
import { Random } from "../../tensor/random.ts";
import type { SavedStates, StateShard } from "./states.ts";

/** Shards in memory at once. */
const SHARDS_HELD = 4;

/** Tokens of one training step. */
export interface StateBatch {
  readonly rows: number;
  /** By blocks run: [rows, hiddenSize]. */
  readonly states: ReadonlyMap<number, Float32Array>;
  /** [rows] each. */
  readonly logSumExp: Float32Array;
  readonly argmax: Int32Array;
}

/** Batches of a pass over all tokens: whole ones, at least one. */
export function batchesPerEpoch(tokens: number, batchTokens: number): number {
  return Math.max(1, Math.floor(tokens / batchTokens));
}

/**
 * Batches of training from step `from` on, without end. Each epoch takes every token once (but for a last part of a
 * batch), in an order of its own that depends on the seed and the epoch only: a run that goes on at a step sees what an
 * undisturbed one does. Tokens are mixed within four shards, themselves in random order, so that no more is held.
 */
export async function* trainingBatches(
  saved: SavedStates,
  { batchTokens, seed, from }: { readonly batchTokens: number; readonly seed: number; readonly from: number },
): AsyncGenerator<StateBatch> {
  const perEpoch = batchesPerEpoch(saved.tokens, batchTokens);
  const reader = new ShardReader(saved);
  for (let epoch = Math.floor(from / perEpoch); ; epoch++) {
    const order = orderOf(saved.shards, new Random(seed).fork(`epoch ${epoch}`));
    for (let i = Math.max(0, from - epoch * perEpoch); i < perEpoch; i++) {
      yield await gather(reader, order.slice(i * batchTokens, (i + 1) * batchTokens));
    }
  }
}

/** All tokens in order, up to so many at a time. */
export async function* allBatches(saved: SavedStates, batchTokens: number): AsyncGenerator<StateBatch> {
  const reader = new ShardReader(saved);
  for (const [shard, tokens] of saved.shards.entries()) {
    for (let from = 0; from < tokens; from += batchTokens) {
      const count = Math.min(batchTokens, tokens - from);
      yield await gather(
        reader,
        Array.from({ length: count }, (_, i) => ({ shard, row: from + i })),
      );
    }
  }
}

interface Place {
  readonly shard: number;
  readonly row: number;
}

function orderOf(shards: readonly number[], random: Random): Place[] {
  const mixed = random.shuffle(Array.from(shards.keys()));
  const order: Place[] = [];
  for (let at = 0; at < mixed.length; at += SHARDS_HELD) {
    const places = mixed.slice(at, at + SHARDS_HELD).flatMap((shard) => {
      return Array.from({ length: shards[shard] }, (_, row): Place => ({ shard, row }));
    });
    for (const place of random.shuffle(places)) order.push(place);
  }
  return order;
}

async function gather(reader: ShardReader, places: readonly Place[]): Promise<StateBatch> {
  const rows = places.length;
  const halves = new Map<number, Uint16Array>();
  const logSumExp = new Float32Array(rows);
  const argmax = new Int32Array(rows);
  // Shard by shard: a batch may reach over more shards than are held.
  const order = [...places.keys()].sort((a, b) => places[a].shard - places[b].shard || a - b);
  for (const at of order) {
    const { shard, row } = places[at];
    const { tokens, states, teacher } = reader.held(shard) ?? (await reader.read(shard));
    for (const [depth, data] of states) {
      const size = data.length / tokens;
      const to = halves.get(depth) ?? new Uint16Array(rows * size);
      halves.set(depth, to);
      to.set(data.subarray(row * size, (row + 1) * size), at * size);
    }
    logSumExp[at] = teacher.logSumExp[row];
    argmax[at] = teacher.argmax[row];
  }
  const states = new Map([...halves].map(([depth, data]) => [depth, f16ToF32Array(data)]));
  return { rows, states, logSumExp, argmax };
}

/** The shards read last. */
class ShardReader {
  private readonly saved: SavedStates;
  private readonly shards = new Map<number, StateShard>();

  constructor(saved: SavedStates) {
    this.saved = saved;
  }

  held(shard: number): StateShard | undefined {
    return this.shards.get(shard);
  }

  async read(shard: number): Promise<StateShard> {
    const found = await this.saved.read(shard);
    for (const oldest of this.shards.keys()) {
      if (this.shards.size < SHARDS_HELD) break;
      this.shards.delete(oldest);
    }
    this.shards.set(shard, found);
    return found;
  }
}
