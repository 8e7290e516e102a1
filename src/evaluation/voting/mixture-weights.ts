/** Ends where a step gains less than this, in nats a token: far below what any text can tell. */
const LEAST_GAIN = 1e-9;
const MOST_STEPS = 2000;
/** A voter that counts less is left out: nobody has to compute it then. */
const LEAST_WEIGHT = 1e-3;

/**
 * The weights, summing to 1, of the mixture that makes tokens likeliest: by expectation-maximisation from equal ones.
 * The mean log-likelihood is concave in them and no step makes it less, so that there is one best value and this ends
 * at it. Voters of less than 0.1 % are left out, and the others fitted again.
 * @param logProbabilities - of each voter ln p(token), nats, -Infinity where it has none: [tokens] each; some voter has
 *   one for every token
 */
export function mixtureWeights(logProbabilities: readonly Float64Array[]): number[] {
  const likelihoods = relativeLikelihoods(logProbabilities);
  let weights = likelihoods.map(() => 1 / likelihoods.length);
  for (;;) {
    weights = maximised(likelihoods, weights);
    const kept = weights.map((weight) => (weight < LEAST_WEIGHT ? 0 : weight));
    const left = kept.reduce((sum, weight) => sum + weight, 0);
    if (kept.every((weight, voter) => weight === weights[voter])) return weights;
    weights = kept.map((weight) => weight / left);
  }
}

/** Likelihoods as shares of the best voter's, token by token: no power of e underflows, and only ratios count. */
function relativeLikelihoods(logProbabilities: readonly Float64Array[]): Float64Array[] {
  const best = logProbabilities[0].map((_, token) => Math.max(...logProbabilities.map((voter) => voter[token])));
  return logProbabilities.map((voter) => voter.map((value, token) => Math.exp(value - best[token])));
}

/** Steps of expectation-maximisation to the end. A weight of 0 stays 0. */
function maximised(likelihoods: readonly Float64Array[], from: readonly number[]): number[] {
  const tokens = likelihoods[0].length;
  let weights = [...from];
  let before = Number.NEGATIVE_INFINITY;
  for (let step = 0; step < MOST_STEPS; step++) {
    const shares = weights.map(() => 0);
    let logLikelihood = 0;
    for (let token = 0; token < tokens; token++) {
      let mixed = 0;
      for (const [voter, weight] of weights.entries()) mixed += weight * likelihoods[voter][token];
      logLikelihood += Math.log(mixed);
      for (const [voter, weight] of weights.entries()) shares[voter] += (weight * likelihoods[voter][token]) / mixed;
    }
    if (logLikelihood - before < LEAST_GAIN * tokens) return weights;
    before = logLikelihood;
    weights = shares.map((share) => share / tokens);
  }
  return weights;
}
