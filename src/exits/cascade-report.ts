import type { Confidence, ExitReport } from "../artifact/exits.ts";
import { type ExitAnswers, leaves } from "./thresholds.ts";

/** The cascade that is reported on. */
export interface Cascade {
  readonly metric: Confidence;
  /** One an exit; null: disabled. */
  readonly thresholds: readonly (number | null)[];
  /** Blocks run before each exit, and of the whole model. */
  readonly blocks: readonly number[];
  readonly totalBlocks: number;
}

/** What a cascade does on a text: who leaves where, and how often rightly. Every token counts the same. */
export function reportCascade(exits: readonly ExitAnswers[], cascade: Cascade): ExitReport {
  const { metric, thresholds, blocks, totalBlocks } = cascade;
  const tokens = exits[0].confidence.length;
  const taken = exits.map(() => 0);
  const agreeing = exits.map(() => 0);
  let blockSum = 0;
  for (let token = 0; token < tokens; token++) {
    const at = exits.findIndex((answers, i) => leaves(answers, token, metric, thresholds[i]));
    blockSum += at < 0 ? totalBlocks : blocks[at];
    if (at < 0) continue;
    taken[at]++;
    agreeing[at] += exits[at].agrees[token];
  }
  const left = sum(taken);
  const agreement = left === 0 ? null : sum(agreeing) / left;
  return {
    tokens,
    coverage: left / tokens,
    agreement,
    agreementError: agreement === null ? null : Math.sqrt((agreement * (1 - agreement)) / left),
    meanBlocks: blockSum / tokens,
    exits: exits.map((_, i) => ({
      coverage: taken[i] / tokens,
      agreement: taken[i] === 0 ? null : agreeing[i] / taken[i],
    })),
  };
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
