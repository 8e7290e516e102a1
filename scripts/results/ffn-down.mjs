// npm run results:ffn-down [SMOLLM2_FOLDER] [--chunks=64] [--blocks=30]: the output error of ffn_down, the one matrix of SmolLM2-135M on which
// K-quants apply, in llama-quantize's files with an importance matrix and in ours at no more bits a weight. Both are fitted to the same calibration
// text and measured on it and on text that neither has seen. Needs dist/, the addon and llama.cpp's tools (LLAMA_CPP_BIN, or
// ../shared/tools/build-llama-cpp.sh). Ten minutes; what llama.cpp makes stays in outputs/peers.
import { readFileSync } from "node:fs";
import { loadTokenizer, openCheckpoint, openStatisticsSweep } from "../../dist/compress-entry.js";
import { denseMatrix } from "../../dist/model/weight-source.js";
import { streamedExecutors } from "../../dist/pipeline/executors.js";
import { openOfflineEngine } from "../../dist/runtime/offline-engine.js";
import { errorsUnder, ourValues, theirValues } from "../../test/peers/ffn-down-errors.mjs";
import { makeFiles } from "../../test/peers/ffn-down-files.mjs";
import { findPeers } from "../../test/peers/runners.mjs";
import { save, shared, smollm2Folder, stamp } from "./common.mjs";
import { ffnDownText } from "./ffn-down-text.mjs";

/** Our codec for each type: no more bits a weight. */
const OURS = { Q3_K: "q3t-g32-s8", IQ4_XS: "q4t-g64", Q4_K: "q4t-g32-s8", Q5_K: "q5t-g32-s8" };
/** `weighted` knows no more of the inputs than an importance matrix does; `gptq` is what ships. */
const QUANTIZERS = ["gptq", "weighted"];
/** llama-imatrix's context. */
const SEQUENCE_TOKENS = 512;
const HELD_OUT_CHUNKS = 40;

const flag = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const note = (line) => process.stderr.write(`${line}\n`);

const checkpoint = smollm2Folder();
const chunks = Number(flag("chunks") ?? 64);
const bin = findPeers().find((peer) => peer.bin)?.bin;
if (!bin) throw new Error("no llama.cpp tools: name their folder in LLAMA_CPP_BIN");
note("llama.cpp: importance matrix and files");
const made = await makeFiles({ checkpoint, folder: "outputs/peers/ffn-down", bin, chunks });

const source = await openCheckpoint(checkpoint);
const tokenizer = await loadTokenizer(checkpoint);
using offline = await openOfflineEngine({ executor: "native" });
const { engine } = offline;

/** The first chunks of a text, each on its own from position 0, as llama-imatrix takes them. */
function sequencesOf(text, count) {
  const ids = tokenizer.encode(text, { specialTokens: false });
  const whole = Math.min(count, Math.floor(ids.length / SEQUENCE_TOKENS));
  return Array.from({ length: whole }, (_, i) => ids.slice(i * SEQUENCE_TOKENS, (i + 1) * SEQUENCE_TOKENS));
}

/** Goes through the blocks with one text; all sweeps are at the same block. */
async function openSweep(text, count) {
  const sequences = sequencesOf(text, count);
  const createExecutor = streamedExecutors({ executor: "native", backend: "auto", threads: null });
  const sweep = await openStatisticsSweep({ source, sequences, createExecutor, engine });
  return { sweep, tokens: sequences.length * SEQUENCE_TOKENS };
}

const heldOutFile = "corpora/wikitext-2/wiki.test.raw";
const texts = {
  calibration: await openSweep(readFileSync(made.text, "utf8"), chunks),
  heldOut: await openSweep(readFileSync(shared(heldOutFile), "utf8").slice(0, 400_000), HELD_OUT_CHUNKS),
};

/** Errors of one block's ffn_down: { type: { theirs, gptq, weighted } }, each with bits. */
async function measureBlock(block, grams, calibration) {
  const matrix = denseMatrix(await source.readMatrix(`blocks.${block}.mlp.down`));
  const pack = ourValues(engine, matrix, calibration);
  const measured = async ({ bits, values }) => ({ bits, errors: await errorsUnder(engine, grams, matrix, values) });
  const types = {};
  for (const [type, codec] of Object.entries(OURS)) {
    types[type] = { theirs: await measured(await theirValues(made.files[type], block, { type, matrix })) };
    for (const quantizer of QUANTIZERS) types[type][quantizer] = await measured(await pack(codec, quantizer));
    for (const quantizer of QUANTIZERS) {
      const { bits } = types[type][quantizer];
      if (bits > types[type].theirs.bits) throw new Error(`${codec}: ${bits} bits a weight, more than ${type}'s`);
    }
  }
  return { block, types };
}

const blocks = [];
const count = Number(flag("blocks") ?? source.spec.blocks.length);
for (let block = 0; block < count; block++) {
  const grams = {};
  let calibration;
  for (const [name, { sweep }] of Object.entries(texts)) {
    const statistics = (await sweep.collect()).of(`blocks.${block}.mlp.down`);
    if (name === "calibration") calibration = statistics;
    grams[name] = statistics.gram;
    await sweep.advance();
  }
  blocks.push(await measureBlock(block, grams, calibration));
  note(`block ${block} of ${count}`);
}
for (const { sweep } of Object.values(texts)) await sweep.close();
await source.close();

const result = {
  ...stamp(),
  model: "SmolLM2-135M",
  matrix: "ffn_down",
  codecs: OURS,
  texts: {
    calibration: { tokens: texts.calibration.tokens, from: "corpora/calibration: c4.utf8 and wiki.utf8" },
    heldOut: { tokens: texts.heldOut.tokens, from: heldOutFile },
  },
  blocks,
};
if (count === source.spec.blocks.length) save("ffn-down", result);
else note("not all blocks: nothing saved");
console.log(ffnDownText(result));
