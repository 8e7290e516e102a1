import { scoredUnits } from "../scored-units.ts";
import { type ModelScorer, parseOptions, type ScoreFigures, type ScorerContext } from "../scorer.ts";
import type { Losses } from "../scores.ts";
import { checkProbes } from "./check-probes.ts";
import { scoreMatrices } from "./matrices.ts";
import { KlOptions } from "./options.ts";
import { VariantRun } from "./run.ts";
import { listVariants, withLoss } from "./variants.ts";

/**
 * KL(model || model with one unit at a codec) in nats, mean over all calibration positions. Units are blocks (at every
 * candidate codec) or matrices (two codecs measured, the others predicted), and the embedding and the output head (one
 * unit when tied). All other weights are the original ones.
 */
export const kl: ModelScorer = {
  kind: "model",
  summary: "KL divergence of the model's output with one block or matrix (embedding, head) at each candidate codec",
  predictsLoss: true,
  inNats: true,
  defaultCalibration: { sequences: 16, sequenceTokens: 128 },
  options: KlOptions,
  // A loss is the same whichever others are measured, in groups of any size.
  lossOptions: [],
  checkCodecs: checkProbes,
  async score(context, executor, raw): Promise<ScoreFigures> {
    const options = parseOptions("kl", KlOptions, raw);
    const run = new VariantRun(context, executor, options);
    try {
      return await (options.unit === "matrix" ? scoreMatrices(context, options, run) : scoreBlocks(context, run));
    } finally {
      await run.close();
    }
  },
};

/** Every block at every candidate codec, in the order of a run that was not interrupted. */
async function scoreBlocks({ source, codecs, embeddingCodecs }: ScorerContext, run: VariantRun): Promise<ScoreFigures> {
  const variants = listVariants(scoredUnits(source.spec, "block"), codecs, embeddingCodecs);
  const measured = await run.measure(variants);
  const losses = variants.reduce<Losses>((all, one) => withLoss(all, one, measured[one.unit][one.codec]), {});
  return { options: { codecs: [...codecs], embeddingCodecs: [...embeddingCodecs] }, importance: null, losses };
}
