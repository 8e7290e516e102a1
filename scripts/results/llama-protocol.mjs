// llama.cpp's protocol on SmolLM2-135M (test/peers/baselines): the same tokens, chunks and scored positions for any
// number of our artifacts, with the reference computed once.
import { mkdirSync, readFileSync } from "node:fs";
import { layerwise, MIB } from "./common.mjs";
import { dataFile } from "./data.mjs";

const FOLDER = "outputs/results/llama-protocol";
const CHUNKS = 40;

/**
 * Divergence of an artifact from the checkpoint, as it runs or with f32 activations: `{ activations, kvType,
 * divergence, model, scoredTokens, secondsAChunk: { model, reference, comparison }, weightBytes }`.
 */
export async function divergenceOf(artifact, checkpoint, { activations = "int8", chunks = CHUNKS, extra = [] } = {}) {
  mkdirSync(FOLDER, { recursive: true });
  const { document } = await layerwise(
    ...["eval", artifact, "--text", dataFile("corpora/wikitext-2/wiki.test.raw"), "--bos", "no", "--no-noise-floor"],
    ...["--window", "512", "--score", "second-half", "--windows", String(chunks)],
    ...["--reference", checkpoint, "--reference-states", `${FOLDER}/states-${chunks}.safetensors`],
    ...["--activations", activations, ...extra],
  );
  const { result, timings, weightBytes } = document;
  const { divergence, model, scoredTokens } = result;
  const each = (seconds) => seconds / timings.windows;
  return {
    ...{ activations: model.arithmetic.activations, kvType: model.arithmetic.kvType, divergence, model, scoredTokens },
    secondsAChunk: {
      model: each(timings.executors[0]),
      reference: each(timings.reference),
      comparison: each(timings.comparison),
    },
    weightBytes,
  };
}

/** llama.cpp's files, smallest first: `{ name, mib, kld, topOne }`; `isFrontier`: none as small is as good. */
export function llamaCppFiles() {
  const { rows } = JSON.parse(readFileSync("test/peers/baselines/smollm2.json", "utf8"));
  const files = rows
    .filter((row) => row.kld_mean !== undefined && row.name !== "BF16")
    .map((row) => ({ name: row.name, mib: row.tensor_bytes / MIB, kld: row.kld_mean }))
    .sort((a, b) => a.mib - b.mib);
  return files.map((file) => ({
    ...file,
    isFrontier: files.every((other) => other === file || other.mib > file.mib || other.kld > file.kld),
  }));
}
