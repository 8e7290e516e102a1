import { type Confidence, type ExitRecord, type ExitTable, isConfident } from "../../artifact/exits/table.ts";
import { UserError } from "../../errors.ts";
import type { DecoderSpec } from "../../model/decoder-spec.ts";
import type { HeadAnswers } from "../../runtime/head-answers.ts";
import { OUTPUT_HEAD } from "../../runtime/heads.ts";

/** An exit that can be asked: its head is loaded into the executor under a name. */
export interface Exit {
  /** Blocks that run before it, 1 … the model's less one. */
  readonly blocks: number;
  readonly head: string;
}

/** Thresholds of all exits for one wanted agreement with the full model. */
export interface ExitThresholds {
  readonly epsilon: number;
  /** One an exit; null: it is not asked. */
  readonly thresholds: readonly (number | null)[];
  /**
   * What they did on text that nothing was fitted to, exit by exit, where it is known: shares of all tokens that left,
   * and of those that were right.
   */
  readonly report?: { readonly exits: readonly { readonly coverage: number; readonly agreement: number | null }[] };
}

/** The exits that decoding may leave at. */
export interface ExitSet {
  /** By rising `blocks`. */
  readonly exits: readonly Exit[];
  /** Ids that the heads score, by index; null: the whole vocabulary. A head's logit beyond them is the tail's. */
  readonly ids: Int32Array | null;
  readonly confidence: Confidence;
  /** By rising epsilon, at least one. */
  readonly levels: readonly ExitThresholds[];
  /** What each exit's vote counts, then the output head's; absent where nothing was fitted. */
  readonly voteWeights?: readonly number[] | undefined;
}

/** The exits of an artifact, whose heads are loaded. */
export function exitSetOf(table: ExitTable, ids: Int32Array | null): ExitSet {
  return {
    exits: table.exits.map(({ blocks, kind }) => ({ blocks, head: exitHeadName(blocks, kind) })),
    ids,
    confidence: table.confidence,
    levels: table.levels,
    voteWeights: table.voting?.weights,
  };
}

/** The name under which an executor knows the head of the exit after so many blocks. */
export function exitHeadName(blocks: number, kind: ExitRecord["kind"]): string {
  return kind === "shared" ? OUTPUT_HEAD : `exit.${blocks}`;
}

/** Index of the lowest level that promises at least `epsilon`. Throws UserError EPSILON where none does. */
export function levelFor({ levels }: ExitSet, epsilon: number): number {
  // 0.9 may have come as 0.9000000000000001.
  const found = levels.findIndex((level) => level.epsilon >= epsilon - 1e-9);
  if (found >= 0 && epsilon >= 0) return found;
  const known = levels.map((level) => level.epsilon).join(", ");
  throw new UserError(
    "EPSILON",
    `epsilon: expected a number from 0 to ${levels[levels.length - 1].epsilon}, found ${epsilon}`,
    `the exits were calibrated for ${known}`,
  );
}

/** How sure answers are, [rows], on one metric's scale. */
export function confidencesOf(answers: HeadAnswers, metric: Confidence): Float32Array {
  const { entropy, maxProbability, margin } = answers;
  return { entropy, max: maxProbability, margin }[metric];
}

/**
 * The id that an exit answers a row with where it is sure enough, or null: unsure, or the answer is none of its ids.
 */
export function acceptedId(set: ExitSet, answers: HeadAnswers, threshold: number | null, row = 0): number | null {
  const confidence = confidencesOf(answers, set.confidence)[row];
  if (!isConfident(set.confidence, confidence, threshold)) return null;
  const best = answers.best[row];
  if (set.ids === null) return best;
  return best < set.ids.length ? set.ids[best] : null;
}

/**
 * Makes a function from the logits of an exit head, [its ids, and the tail], to logits over the whole vocabulary,
 * [vocabSize]: -Infinity for what the head cannot say; the tail is left out. The result is overwritten by the next
 * call.
 */
export function createSpread(ids: Int32Array | null, vocabSize: number): (headLogits: Float32Array) => Float32Array {
  const all = new Float32Array(vocabSize).fill(Number.NEGATIVE_INFINITY);
  return (headLogits) => {
    if (ids === null) return headLogits.length === vocabSize ? headLogits : headLogits.subarray(0, vocabSize);
    for (let i = 0; i < ids.length; i++) all[ids[i]] = headLogits[i];
    return all;
  };
}

/** Throws unless the exits lie within the model, in order. */
export function checkExits({ exits, ids }: Pick<ExitSet, "exits" | "ids">, spec: DecoderSpec): void {
  exits.forEach(({ blocks, head }, i) => {
    const above = i === 0 ? 0 : exits[i - 1].blocks;
    if (Number.isInteger(blocks) && blocks > above && blocks < spec.blocks.length) return;
    throw new Error(`${head}: expected after ${above + 1} to ${spec.blocks.length - 1} blocks, found ${blocks}`);
  });
  if (ids?.some((id) => id < 0 || id >= spec.vocabSize)) throw new Error("exits: an id outside the vocabulary");
}

/** The same, and unless every level has a threshold for each. */
export function checkExitSet(set: ExitSet, spec: DecoderSpec): void {
  checkExits(set, spec);
  const { exits, levels } = set;
  if (levels.length === 0) throw new Error("exits: no thresholds");
  for (const { epsilon, thresholds } of levels) {
    if (thresholds.length === exits.length) continue;
    throw new Error(`exits: level ${epsilon}: expected ${exits.length} thresholds, found ${thresholds.length}`);
  }
}
