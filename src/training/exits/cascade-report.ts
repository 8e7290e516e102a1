import type { Confidence, ExitReport } from "../../artifact/exits/table.ts";
import { type ExitAnswers, leaves } from "./thresholds.ts";

/** The cascade that is reported on. */
export interface Cascade {
  readonly metric: Confidence;
  /** One an exit; null: disabled. */
  readonly thresholds: readonly (number | null)[];
  /** Blocks run before each exit, and of the whole model. */
  readonly blocks: readonly number[];
  readonly totalBlocks: number;
  /** Tokens of each text, in order: tokens of one text are alike, so errors are those between texts. */
  readonly texts: readonly number[];
}

/** What a cascade does on a text: who leaves where, and how often rightly. Every token counts the same. */
export function reportCascade(exits: readonly ExitAnswers[], cascade: Cascade): ExitReport {
  const { metric, thresholds, blocks, totalBlocks, texts } = cascade;
  const tokens = exits[0].confidence.length;
  const taken = exits.map(() => 0);
  const agreeing = exits.map(() => 0);
  const byText = texts.map(() => ({ taken: 0, agreeing: 0 }));
  let blockSum = 0;
  let text = 0;
  let textEnd = texts[0];
  for (let token = 0; token < tokens; token++) {
    while (token >= textEnd) textEnd += texts[++text];
    const at = exits.findIndex((answers, i) => leaves(answers, token, metric, thresholds[i]));
    blockSum += at < 0 ? totalBlocks : blocks[at];
    if (at < 0) continue;
    taken[at]++;
    agreeing[at] += exits[at].agrees[token];
    byText[text].taken++;
    byText[text].agreeing += exits[at].agrees[token];
  }
  const left = sum(taken);
  const agreement = left === 0 ? null : sum(agreeing) / left;
  return {
    tokens,
    coverage: left / tokens,
    agreement,
    agreementError: agreement === null ? null : ratioError(byText, agreement),
    meanBlocks: blockSum / tokens,
    exits: exits.map((_, i) => ({
      coverage: taken[i] / tokens,
      agreement: taken[i] === 0 ? null : agreeing[i] / taken[i],
    })),
  };
}

/**
 * Standard error of a share over texts that are drawn whole (ratio estimator of cluster sampling; Cochran 1977, section
 * 9A): with tokens taken as independent it would be too small, by half or more in a model's own text. Of a single text,
 * as if its tokens were.
 */
function ratioError(texts: readonly { readonly taken: number; readonly agreeing: number }[], share: number): number {
  const some = texts.filter(({ taken }) => taken > 0);
  const left = sum(some.map(({ taken }) => taken));
  if (some.length < 2) return Math.sqrt((share * (1 - share)) / left);
  const squares = sum(some.map(({ taken, agreeing }) => (agreeing - share * taken) ** 2));
  return Math.sqrt((some.length / (some.length - 1)) * squares) / left;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
