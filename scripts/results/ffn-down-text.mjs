// The section of docs/results.md on ffn_down beside llama.cpp's types.
import { median } from "../../test/peers/runners.mjs";
import { table } from "./common.mjs";

const MEASURES = [
  { text: "heldOut", part: "full" },
  { text: "calibration", part: "full" },
  { text: "heldOut", part: "diagonal" },
];

/** Error of ours over theirs, block by block. */
function ratiosOf({ blocks }, type, { text, part }) {
  return blocks.map(({ types }) => types[type].ours.errors[text][part] / types[type].theirs.errors[text][part]);
}

const shown = (ratios) =>
  `${median(ratios).toFixed(3)} (${Math.min(...ratios).toFixed(3)} – ${Math.max(...ratios).toFixed(3)}), lower in ${ratios.filter((ratio) => ratio < 1).length} of ${ratios.length}`;

/** The measured document as text. */
export function ffnDownText(result) {
  const [{ types }] = result.blocks;
  const rows = Object.entries(result.codecs).map(([type, codec]) => [
    `${type}, ${types[type].theirs.bits}`,
    `${codec}, ${types[type].ours.bits.toFixed(3)}`,
    ...MEASURES.map((measure) => shown(ratiosOf(result, type, measure))),
  ]);
  const head = [
    "llama.cpp with imatrix, bits a weight",
    `ours by ${result.quantizer}, bits a weight`,
    "held-out text",
    "calibration text",
    "held-out, diagonal only",
  ];
  const { calibration, heldOut } = result.texts;
  return [
    "Output error E|(W - Q) x|² of ours over llama.cpp's: median over the blocks (least – largest).",
    table(head, rows),
    `Held-out: ${heldOut.tokens} tokens of ${heldOut.from}; calibration: ${calibration.tokens} tokens of ${calibration.from}, the same for the importance matrix and for ours. Diagonal only: Σ E[x²] (w - q)², what llama-quantize minimises; gptq lets it rise where errors of several columns cancel each other.`,
  ].join("\n\n");
}
