import { Random } from "../../tensor/random.ts";
import { createDistribution, type Sampler, type SamplerOptions } from "../sampler.ts";
import type { ExitReached } from "./row-ladder.ts";
import { createSpread } from "./spread-logits.ts";

/** Proposes draft tokens from exits' answers, and settles each against the full model's logits. */
export interface DraftJudge {
  /** The round's draft of this number (0 is the first) for an exit's answer; `history` has the drafts before it too. */
  propose(reached: ExitReached, number: number, history: readonly number[]): number;
  /**
   * The token that the text takes, given the full model's logits [vocabSize]: the draft's own where it is taken. `draft`: its number in
   * this round and its id; null where there is none. Rounds are settled in order of the drafts, to the first that is not taken.
   */
  settle(logits: Float32Array, draft: SettledDraft | null, history: readonly number[]): number;
}

/** A draft to settle. */
export interface SettledDraft {
  /** 0 is the round's first. */
  readonly number: number;
  readonly id: number;
}

/** Drafts are exits' most likely tokens; the text takes what the sampler takes without drafts, which draws nothing at temperature 0. */
export function greedyJudge(sampler: Sampler): DraftJudge {
  return {
    propose: ({ id }) => id,
    settle: (logits, _draft, history) => sampler.next(logits, history),
  };
}

/**
 * Speculative sampling (Leviathan 2023, algorithm 1; Chen 2023): a draft d is drawn from the head's distribution q, taken with
 * probability min(1, p(d) / q(d)), else the token is drawn from max(0, p - q) / Σ max(0, p - q). So each token is distributed as the
 * sampler's own draws, by p. Both are distributions after penalty, temperature and filters; ids that a head does not score have q = 0.
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
    propose({ logits }, number, history) {
      qOfDraft[number] ??= new Float64Array(vocabSize);
      const q = distribution(spread(logits), history, qOfDraft[number]);
      return drawByWeight(q, 1, random.next());
    },
    settle(logits, draft, history) {
      distribution(logits, history, p);
      if (draft === null) return drawByWeight(p, 1, random.next());
      const q = qOfDraft[draft.number];
      if (random.next() * q[draft.id] < p[draft.id]) return draft.id;
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
