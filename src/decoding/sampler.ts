import { UserError } from "../errors.ts";
import { notFinite } from "../runtime/not-finite.ts";
import { Random } from "../tensor/random.ts";
import { CandidateHeap } from "./candidate-heap.ts";

/**
 * How the next token is chosen. Applied in this order (as transformers does it): repetition penalty, temperature,
 * top-k, top-p over what top-k left, min-p, then one draw. Temperature 0 takes the most likely token after the penalty.
 */
export interface SamplerOptions {
  /** 0 (default) is greedy; otherwise logits are divided by it. */
  readonly temperature: number;
  /** Keep the k most likely tokens; 0 keeps all. */
  readonly topK: number;
  /** Keep the smallest set of most likely tokens whose probability reaches this; 1 keeps all. */
  readonly topP: number;
  /** Keep tokens at least this fraction as likely as the most likely one; 0 keeps all. */
  readonly minP: number;
  /** Logits of tokens seen before are divided by it when positive, multiplied when negative; 1 changes nothing. */
  readonly repetitionPenalty: number;
  readonly seed: number;
}

export const GREEDY: SamplerOptions = { temperature: 0, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 0 };

export interface Sampler {
  /** Whether it always takes the most likely token: it neither draws nor penalises, and needs no other logit. */
  readonly greedy: boolean;
  /** The next id, given logits [vocabSize] (left as they are) and the ids so far. Equal logits: the lower id wins. */
  next(logits: Float32Array, history: ArrayLike<number>): number;
}

/** A sampler with the given options, the rest greedy. Throws UserError SAMPLER on values out of range. */
export function createSampler(options: Partial<SamplerOptions> = {}): Sampler {
  const all = { ...GREEDY, ...options };
  checkOptions(all);
  const random = new Random(all.seed).fork("sampler");
  const scratch: Scratch = { penalised: new Float32Array(0), heap: new CandidateHeap(), kept: [], weights: [] };
  const draws = drawsTokens(all);
  return {
    greedy: !draws && all.repetitionPenalty === 1,
    next(logits, history) {
      const scores = all.repetitionPenalty === 1 ? logits : penalise(logits, history, all.repetitionPenalty, scratch);
      const best = mostLikely(scores);
      if (!draws) return best;
      return draw(scores, best, all, scratch, random.next());
    },
  };
}

/** Whether a sampler with these options draws; else its choice follows from the logits and the ids so far. */
export function drawsTokens({
  temperature = GREEDY.temperature,
  topK = GREEDY.topK,
}: Partial<SamplerOptions>): boolean {
  return temperature > 0 && topK !== 1;
}

/** Fills `into`, [vocabSize], with the probabilities that a sampler with these options draws by, and returns it. */
export type TokenDistribution = (logits: Float32Array, history: ArrayLike<number>, into: Float64Array) => Float64Array;

/**
 * The distribution of a sampler's draws; with temperature 0 all is on one token. Throws UserError SAMPLER on values out
 * of range.
 */
export function createDistribution(options: Partial<SamplerOptions> = {}): TokenDistribution {
  const all = { ...GREEDY, ...options };
  checkOptions(all);
  const scratch: Scratch = { penalised: new Float32Array(0), heap: new CandidateHeap(), kept: [], weights: [] };
  const unfiltered = all.topK === 0 && all.topP === 1 && all.minP === 0;
  return (logits, history, into) => {
    const scores = all.repetitionPenalty === 1 ? logits : penalise(logits, history, all.repetitionPenalty, scratch);
    const best = mostLikely(scores);
    if (all.temperature === 0) {
      into.fill(0)[best] = 1;
      return into;
    }
    const weight = (id: number) => Math.exp((scores[id] - scores[best]) / all.temperature);
    if (unfiltered) for (let id = 0; id < scores.length; id++) into[id] = weight(id);
    else {
      keepMostLikely(scores, weight, all, scratch);
      into.fill(0);
      scratch.kept.forEach((id, i) => {
        into[id] = scratch.weights[i];
      });
    }
    const total = into.reduce((sum, w) => sum + w, 0);
    for (let id = 0; id < into.length; id++) into[id] /= total;
    return into;
  };
}

interface Scratch {
  penalised: Float32Array;
  readonly heap: CandidateHeap;
  readonly kept: number[];
  readonly weights: number[];
}

/**
 * Index of the largest value; the lower index wins ties; -Infinity marks what must not be taken. Throws UserError
 * LOGITS_NOT_FINITE where a value is NaN, or the largest infinite. Every token passes here: values are looked at by
 * eights, which takes half of the time (38 µs for 49,152 logits).
 */
export function mostLikely(logits: Float32Array): number {
  let best = 0;
  let most = logits[0];
  for (let at = 0; at < logits.length; at += 8) {
    if (eightAtMost(logits, at, most)) continue;
    const end = Math.min(at + 8, logits.length);
    for (let i = at; i < end; i++) {
      if (Number.isNaN(logits[i])) throw notFinite(`logit of token ${i}`);
      if (logits[i] > most) [best, most] = [i, logits[i]];
    }
  }
  if (!Number.isFinite(most)) throw notFinite(`logit of token ${best}`);
  return best;
}

/** False also where one of the eight is NaN or beyond the end. */
function eightAtMost(x: Float32Array, at: number, most: number): boolean {
  return (
    x[at] <= most &&
    x[at + 1] <= most &&
    x[at + 2] <= most &&
    x[at + 3] <= most &&
    x[at + 4] <= most &&
    x[at + 5] <= most &&
    x[at + 6] <= most &&
    x[at + 7] <= most
  );
}

function penalise(logits: Float32Array, history: ArrayLike<number>, penalty: number, scratch: Scratch): Float32Array {
  if (scratch.penalised.length !== logits.length) scratch.penalised = new Float32Array(logits.length);
  const out = scratch.penalised;
  out.set(logits);
  for (let i = 0; i < history.length; i++) {
    const id = history[i];
    out[id] = logits[id] > 0 ? logits[id] / penalty : logits[id] * penalty;
  }
  return out;
}

/** Draws with `u` in [0, 1): over all tokens in order of id, or over those that the filters keep, most likely first. */
function draw(scores: Float32Array, best: number, options: SamplerOptions, scratch: Scratch, u: number): number {
  const weight = (id: number) => Math.exp((scores[id] - scores[best]) / options.temperature);
  if (options.topK === 0 && options.topP === 1 && options.minP === 0) return drawUnfiltered(scores, weight, u);
  const { kept, weights } = scratch;
  let rest = u * keepMostLikely(scores, weight, options, scratch);
  for (let i = 0; i < kept.length; i++) {
    rest -= weights[i];
    if (rest < 0) return kept[i];
  }
  return kept[kept.length - 1];
}

function drawUnfiltered(scores: Float32Array, weight: (id: number) => number, u: number): number {
  let rest = u * sumOfWeights(scores, weight);
  let last = 0;
  for (let id = 0; id < scores.length; id++) {
    const w = weight(id);
    if (w === 0) continue;
    rest -= w;
    if (rest < 0) return id;
    last = id;
  }
  return last;
}

/**
 * Fills scratch.kept and scratch.weights (relative to the most likely token) and returns the sum of the kept weights.
 * Every filter keeps a prefix of the order of falling probability, so tokens are taken from a heap only as far as one
 * is needed.
 */
function keepMostLikely(
  scores: Float32Array,
  weight: (id: number) => number,
  options: SamplerOptions,
  { heap, kept, weights }: Scratch,
): number {
  const limit = options.topK > 0 ? Math.min(options.topK, scores.length) : scores.length;
  const take = () => {
    kept.push(heap.pop());
    weights.push(weight(kept[kept.length - 1]));
  };
  heap.fill(scores);
  kept.length = 0;
  weights.length = 0;
  if (options.topK > 0) while (kept.length < limit) take();
  const whole = options.topK > 0 ? weights.reduce((sum, w) => sum + w, 0) : sumOfWeights(scores, weight);
  const mass = options.topP < 1 ? options.topP * whole : Number.POSITIVE_INFINITY;
  let total = 0;
  let count = 0;
  while (count < limit && total < mass) {
    if (count === kept.length) take();
    if (weights[count] < options.minP) break;
    total += weights[count++];
  }
  kept.length = count;
  return total;
}

function sumOfWeights(scores: Float32Array, weight: (id: number) => number): number {
  let sum = 0;
  for (let id = 0; id < scores.length; id++) sum += weight(id);
  return sum;
}

function checkOptions(options: SamplerOptions): void {
  const require = (ok: boolean, name: string, expected: string, found: number) => {
    if (!ok) throw new UserError("SAMPLER", `${name}: expected ${expected}, found ${found}`);
  };
  const { temperature, topK, topP, minP, repetitionPenalty, seed } = options;
  require(temperature >= 0 && Number.isFinite(temperature), "temperature", "a number from 0 up", temperature);
  require(Number.isInteger(topK) && topK >= 0, "top-k", "a whole number from 0 up", topK);
  require(topP > 0 && topP <= 1, "top-p", "a number above 0 and up to 1", topP);
  require(minP >= 0 && minP <= 1, "min-p", "a number from 0 to 1", minP);
  const penaltyOk = repetitionPenalty > 0 && Number.isFinite(repetitionPenalty);
  require(penaltyOk, "repetition-penalty", "a number above 0", repetitionPenalty);
  require(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32, "seed", "a whole number from 0 to 4294967295", seed);
}
