// node test/peers/ffn-down.mjs [CHECKPOINT] [--chunks=195] [--json]: the output error of ffn_down, the one matrix of SmolLM2-135M on which K-quants
// apply, in files of llama-quantize with an importance matrix and in ours at no more bits. Needs dist/ and llama.cpp's tools (LLAMA_CPP_BIN, or
// ../shared/tools/build-llama-cpp.sh). Weighted with the importance matrix itself, the measure that llama-quantize minimises.

import { CODECS } from "../../dist/codecs/index.js";
import { openCheckpoint } from "../../dist/model/checkpoint.js";
import { denseMatrix } from "../../dist/model/weight-source.js";
import { packWith } from "../../dist/quantization/overlay.js";
import { smollm2Folder, stamp, table } from "../../scripts/results/common.mjs";
import { compareErrors, diagonalError, errorsOfCodec, errorsOfFile, readImportance } from "./ffn-down-errors.mjs";
import { makeFiles } from "./ffn-down-files.mjs";
import { findPeers } from "./runners.mjs";

const QUANTIZER = "nearest";
/** Our codec for each type: no more bits a weight. */
const OURS = { Q3_K: "q3s-g64", IQ4_XS: "q4s-g64", Q4_K: "q4s-g32", Q5_K: "q5s-g32" };

const chunks = Number(process.argv.find((arg) => arg.startsWith("--chunks="))?.slice(9) ?? 195);
const checkpoint = smollm2Folder();
const bin = findPeers().find((peer) => peer.bin)?.bin;
if (!bin) throw new Error("no llama.cpp tools: name their folder in LLAMA_CPP_BIN");
const { files, imatrix } = await makeFiles({ checkpoint, folder: "outputs/peers/ffn-down", bin, chunks });

const source = await openCheckpoint(checkpoint);
const importance = await readImportance(imatrix, source.spec.blocks.length);
const shared = { source, statisticsOf: async (block) => importance[block], measure: diagonalError };
const quantize = async (matrix, codec) => denseMatrix(await packWith(codec.id, QUANTIZER)("mlp.down", matrix)).data;

const results = [];
for (const [type, file] of Object.entries(files)) {
  const theirs = await errorsOfFile({ ...shared, file });
  const ours = await errorsOfCodec({ ...shared, codec: CODECS[OURS[type]], quantize });
  results.push({
    type,
    bits: theirs[0].bits,
    codec: OURS[type],
    ourBits: ours[0].bits,
    ...compareErrors(ours, theirs),
    ours,
    theirs,
  });
  process.stderr.write(`${type} done\n`);
}
await source.close();

if (process.argv.includes("--json"))
  console.log(JSON.stringify({ ...stamp(), quantizer: QUANTIZER, chunks, results }, null, 2));
else {
  const row = ({ type, bits, codec, ourBits, median, lower, blocks }) => [
    type,
    bits.toFixed(2),
    codec,
    ourBits.toFixed(2),
    median.toFixed(3),
    `${lower} of ${blocks}`,
  ];
  console.log(
    table(
      ["llama.cpp", "bits", `ours, ${QUANTIZER}`, "bits", "error, ours / theirs, median", "blocks lower"],
      results.map(row),
    ),
  );
}
