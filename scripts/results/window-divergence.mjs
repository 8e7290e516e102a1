// KL divergence from a checkpoint on windows of 512 tokens of wikitext-2, as the artifact runs.
import { layerwise } from "./common.mjs";
import { dataFile } from "./data.mjs";

/** Looked for before anything is measured. */
const TEXT = dataFile("corpora/wikitext-2/wiki.test.raw");

/** `{ mean, meanError, perplexity }`; the checkpoint's states are kept in `states`, for further artifacts of it. */
export async function windowDivergence(artifact, checkpoint, { states, windows }) {
  const { document } = await layerwise(
    ...["eval", artifact, "--text", TEXT, "--reference", checkpoint],
    ...["--reference-states", states, "--noise-floor=false", "--window", "512", "--windows", String(windows)],
  );
  const { divergence, model } = document.result;
  return { mean: divergence.mean, meanError: divergence.meanError, perplexity: model.perplexity };
}
