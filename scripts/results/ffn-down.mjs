// npm run results:ffn-down [SMOLLM2_FOLDER] [--chunks=32] [--blocks=0-29]: the output error of ffn_down, the one matrix
// of SmolLM2-135M on which K-quants apply, in llama-quantize's files with an importance matrix and in ours at no more
// bits a weight. Both are fitted to the same calibration text and measured on it and on text that neither has seen.
// Needs dist/, the addon and llama.cpp's tools (LLAMA_CPP_BIN, or test/peers/build-llama-cpp.sh). Ten minutes; what
// llama.cpp makes stays in outputs/peers, and so do measured blocks of the same src/, so that a stopped run goes on;
// --blocks measures some of them and saves no result.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { loadTokenizer, openCheckpoint, openMaths } from "../../dist/compress-entry.js";
import { idOf } from "../../dist/model/matrix-id.js";
import { denseMatrix } from "../../dist/model/weight-source.js";
import { errorsUnder, openTheirs, ourValues } from "../../test/peers/ffn-down-errors.mjs";
import { makeFiles } from "../../test/peers/ffn-down-files.mjs";
import { findPeers } from "../../test/peers/runners.mjs";
import { flag, note, save, smollm2Folder, stamp } from "./common.mjs";
import { dataFile } from "./data.mjs";
import { collectGrams } from "./ffn-down-grams.mjs";
import { ffnDownText } from "./ffn-down-text.mjs";

const FOLDER = "outputs/peers/ffn-down";
/** Our codec for each type: no more bits a weight. */
const OURS = { Q3_K: "q3t-g32-s8", IQ4_XS: "q4t-g64", Q4_K: "q4t-g32-s8", Q5_K: "q5t-g32-s8" };
const QUANTIZER = "gptq";
const HELD_OUT_CHUNKS = 20;

const measuredAt = stamp();
/** Names the contents of src/, where nothing in it has changed since the commit. */
const sources = execFileSync("git", ["rev-parse", "--short", "HEAD:src"], { encoding: "utf8" }).trim();
const checkpoint = smollm2Folder();
const chunks = Number(flag("chunks") ?? 32);
const bin = findPeers().find((peer) => peer.bin)?.bin;
if (!bin) throw new Error("no llama.cpp tools: name their folder in LLAMA_CPP_BIN");
note("llama.cpp: importance matrix and files");
const made = await makeFiles({ checkpoint, folder: FOLDER, bin, chunks });

const source = await openCheckpoint(checkpoint);
const tokenizer = await loadTokenizer(checkpoint);
const maths = await openMaths({});

const heldOutFile = "corpora/wikitext-2/wiki.test.raw";
const count = source.spec.blocks.length;
const [first, last] = flag("blocks")?.split("-").map(Number) ?? [0, count - 1];
const matrixId = (block) => idOf(block, "mlp.down");
const collect = (name, text, length) =>
  collectGrams(
    { source, tokenizer, maths },
    { text, chunks: length, name: `${name}-${length}`, folder: FOLDER, matrix: matrixId, blocks: count },
  );
const texts = {
  calibration: await collect("calibration", readFileSync(made.text, "utf8"), chunks),
  heldOut: await collect("held-out", readFileSync(dataFile(heldOutFile), "utf8").slice(0, 400_000), HELD_OUT_CHUNKS),
};

const theirs = {};
for (const type of Object.keys(OURS)) theirs[type] = await openTheirs(made.files[type], type);

/** Errors of one block's ffn_down: { block, types: { type: { theirs, ours } } }, each with bits. */
async function measureBlock(block, grams, calibration) {
  const matrix = denseMatrix(await source.readMatrix(matrixId(block)));
  const pack = ourValues(maths, matrix, calibration);
  const measured = async ({ bits, values }) => ({ bits, errors: await errorsUnder(maths, grams, matrix, values) });
  const types = {};
  for (const [type, codec] of Object.entries(OURS)) {
    const { bits: most, valuesOf } = theirs[type];
    types[type] = { theirs: await measured({ bits: most, values: await valuesOf(block) }) };
    const ours = await pack(codec, QUANTIZER);
    if (ours.bits > most) throw new Error(`${codec}: ${ours.bits} bits a weight, more than ${type}'s`);
    types[type].ours = await measured(ours);
  }
  return { block, types };
}

/** The same, or what a run with the same src/ has measured. */
async function measuredBlock(block) {
  const file = `${FOLDER}/measured-${chunks}-${sources}-${block}.json`;
  if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8"));
  const [calibration, heldOut] = [texts.calibration.gramOf(block), texts.heldOut.gramOf(block)];
  const found = await measureBlock(block, { calibration: calibration.gram, heldOut: heldOut.gram }, calibration);
  if (!measuredAt.commit.includes("changes")) writeFileSync(file, JSON.stringify(found));
  return found;
}

const blocks = [];
for (let block = first; block <= last; block++) {
  blocks.push(await measuredBlock(block));
  note(`block ${block} of ${count}`);
}
for (const file of Object.values(theirs)) await file.close();
await source.close();
maths[Symbol.dispose]();

const result = {
  ...measuredAt,
  model: "SmolLM2-135M",
  matrix: "ffn_down",
  codecs: OURS,
  quantizer: QUANTIZER,
  texts: {
    calibration: { tokens: texts.calibration.tokens, from: "corpora/calibration: c4.utf8 and wiki.utf8" },
    heldOut: { tokens: texts.heldOut.tokens, from: heldOutFile },
  },
  blocks,
};
if (blocks.length === count) save("ffn-down", result);
else note("not all blocks: nothing saved");
console.log(ffnDownText(result));
