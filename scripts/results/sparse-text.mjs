// What docs/results.md says of sparse codecs, from docs/results/sparse.json.
import { MIB, table } from "./common.mjs";

/** Weights in the blocks of SmolLM2-135M. */
const BLOCK_WEIGHTS = 106_168_320;

/** The measured codecs by falling bytes. */
export function sparseText({ codecs }) {
  const rows = Object.entries(codecs)
    .sort(([, a], [, b]) => b.blockBytes - a.blockBytes)
    .map(([codec, { divergence: of, blockBytes, fileBytes, tokensPerSecond }]) => [
      `\`${codec}\``,
      ((8 * blockBytes) / BLOCK_WEIGHTS).toFixed(2),
      (fileBytes / MIB).toFixed(1),
      `${of.mean.toFixed(4)} ± ${of.meanError.toFixed(4)}`,
      tokensPerSecond?.best?.toFixed(1) ?? "–",
      tokensPerSecond?.avx2?.toFixed(1) ?? "–",
    ]);
  const { machine, date, commit } = Object.values(codecs).at(-1);
  const head = ["codec of the blocks", "bits a weight", "MiB", "KL divergence", "decode tokens/s", "on AVX2"];
  return `${table(head, rows)}\n\n*${machine}; ${date}; commit ${commit}.*`;
}
