import type { KeptLosses } from "../../src/scoring/scorer.ts";
import type { Losses } from "../../src/scoring/scores.ts";

/** Losses saved before, and a list that takes what is kept. */
export function keptIn(list: Losses[], saved: Losses = {}): KeptLosses {
  return { saved, keep: (losses) => list.push(losses) };
}
