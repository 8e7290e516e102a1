// What docs/results.md says of sparse codecs, from docs/results/sparse.json.
import { MIB, table, taken } from "./common.mjs";

/** Weights in the blocks of SmolLM2-135M. */
const BLOCK_WEIGHTS = 106_168_320;

/** The measured codecs by falling bytes. */
export function sparseText({ codecs, kernels }) {
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
  const head = ["codec of the blocks", "bits a weight", "MiB", "KL divergence", "decode tokens/s", "on AVX2"];
  const figures = `${table(head, rows)}\n\n${taken(Object.values(codecs).at(-1))}`;
  if (!kernels) return figures;
  const what = `Microseconds of one row of activations times ${kernels.rows} x ${kernels.cols} in the cache, one thread, the best of many (\`npm run results:sparse-kernels\`):`;
  return `${figures}\n\n${what}\n\n${kernelsText(kernels)}`;
}

/** Microseconds of a product by codec and table of kernels. */
export function kernelsText({ codecs }) {
  const tables = Object.keys(Object.values(codecs)[0].microseconds);
  const rows = Object.entries(codecs).map(([codec, { bytes, microseconds }]) => [
    `\`${codec}\``,
    (bytes / 1024).toFixed(0),
    ...tables.map((isa) => microseconds[isa].toFixed(1)),
  ]);
  return table(["codec", "KiB", ...tables], rows);
}
