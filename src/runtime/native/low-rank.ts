import type { LowRankPart } from "../../model/low-rank.ts";
import type { NativeLowRank } from "../../native/addon.ts";
import type { WeightLoader } from "./weights.ts";

/** A low-rank addition as the engine takes it. */
export interface NativeAddition {
  readonly block: number;
  readonly role: string;
  readonly lowRank: NativeLowRank;
}

/** Packs both factors of every addition, in the smallest float kinds that hold their numbers. */
export async function packAdditions(loader: WeightLoader, parts: readonly LowRankPart[]): Promise<NativeAddition[]> {
  const matrix = (rows: number, cols: number, data: Float32Array) => loader.matrix({ kind: "dense", rows, cols, data });
  const additions: NativeAddition[] = [];
  for (const { block, role, rank, a, b, factor } of parts) {
    const lowRank = {
      a: await matrix(rank, a.length / rank, a),
      b: await matrix(b.length / rank, rank, b),
      factor,
    };
    additions.push({ block, role, lowRank });
  }
  return additions;
}
