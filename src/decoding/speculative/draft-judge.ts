import { Random } from "../../tensor/random.ts";
import { createSpread } from "../exits/exit-set.ts";
import { chooseAfter, type OutputAnswers, wantedBy } from "../output-rows.ts";
import { createDistribution, type Sampler, type SamplerOptions } from "../sampler.ts";
import type { ExitReached, LadderNeeds } from "./row-ladder.ts";

/** Proposes draft tokens from exits' answers, and settles each against the full model's logits. */
export interface DraftJudge {
  readonly needs: LadderNeeds;
  /** The round's draft of this number (0 is the first) for an exit's answer; `history` has the drafts before it too. */
  propose(reached: ExitReached, number: number, history: readonly number[]): number;
  /**
   * The token that the text takes after a row of the round, given what the full model says of it: the draft's own where
   * that is taken. `draft`: the id of the draft of the row's number; null where there is none. Rounds are settled row
   * by row, to the first draft that is not taken.
   */
  settle(output: OutputAnswers, row: number, draft: number | null, history: readonly number[]): number;
}

/**
 * Drafts are exits' most likely tokens; the text takes what the sampler takes without drafts, which draws nothing at
 * temperature 0.
 */
export function greedyJudge(sampler: Sampler): DraftJudge {
  return {
    needs: { exitLogits: false, output: wantedBy(sampler) },
    propose: ({ id }) => id,
    settle: (output, row, _draft, history) => chooseAfter(output, row, sampler, history),
  };
}

/**
 * Speculative sampling (Leviathan 2023, algorithm 1; Chen 2023): a draft d is drawn from the head's distribution q,
 * taken with probability min(1, p(d) / q(d)), else the token is drawn from max(0, p - q) / Σ max(0, p - q). So each
 * token is distributed as the sampler's own draws, by p. Both are distributions after penalty, temperature and filters;
 * ids that a head does not score have q = 0.
 */
export function samplingJudge(
  options: Partial<SamplerOptions>,
  { ids, vocabSize }: { readonly ids: Int32Array | null; readonly vocabSize: number },
): DraftJudge {
  const random = new Random(options.seed ?? 0).fork("speculative sampler");
  const distribution = createDistribution(options);
  const spread = createSpread(ids, vocabSize);
  const p = new Float64Array(vocabSize);
  const qOfDraft: Float64Array[] = [];
  return {
    needs: { exitLogits: true, output: "logits" },
    propose({ logits }, number, history) {
      if (logits === null) throw new Error("an exit's logits were not asked for");
      qOfDraft[number] ??= new Float64Array(vocabSize);
      const q = distribution(spread(logits), history, qOfDraft[number]);
      return drawByWeight(q, 1, random.next());
    },
    settle(output, row, draft, history) {
      distribution(output.logits(row), history, p);
      if (draft === null) return drawByWeight(p, 1, random.next());
      const q = qOfDraft[row];
      if (random.next() * q[draft] < p[draft]) return draft;
      let rest = 0;
      for (let id = 0; id < vocabSize; id++) {
        p[id] = Math.max(0, p[id] - q[id]);
        rest += p[id];
      }
      return drawByWeight(p, rest, random.next());
    },
  };
}

/** An index drawn by weights that sum to `total`, with u in [0, 1); never one of weight 0. */
export function drawByWeight(weights: Float64Array, total: number, u: number): number {
  let rest = u * total;
  let last = 0;
  for (let i = 0; i < weights.length; i++) {
    if (weights[i] === 0) continue;
    rest -= weights[i];
    if (rest < 0) return i;
    last = i;
  }
  return last;
}
