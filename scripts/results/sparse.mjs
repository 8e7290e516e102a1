// npm run results:sparse [SMOLLM2_FOLDER] [--only=q4s-g32-n16,q3s-g32,…] [--part=divergence|speed]: SmolLM2-135M with
// all blocks at one codec, sparse and dense ones of about the same bytes, by gptq: KL divergence from the checkpoint,
// and decode tokens/s, alone on the machine. Every variant is saved when it is done.
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { median } from "../../test/peers/runners.mjs";
import { flag, layerwise, save, smollm2Folder, stamp } from "./common.mjs";
import { recipeFile, shippedTexts } from "./recipe-file.mjs";
import { sparseText } from "./sparse-text.mjs";
import { windowDivergence } from "./window-divergence.mjs";

const OUT = "outputs/results/sparse";
const FILE = "docs/results/sparse.json";
const WINDOWS = 16;
const ROUNDS = 3;
/** By falling bits a weight. */
const CODECS = [
  ...["q5s-g32", "q8s-g32-n16", "q4s-g32", "q4s-g32-n24", "q3s-g32-n24", "q3s-g32", "q4s-g32-n16", "q4s-g32-2of4"],
  ...["q3s-g128", "q3s-g32-n16", "q3s-g32-2of4", "q2s-g32", "q4s-g32-n8"],
];

const chosen = flag("only")?.split(",") ?? CODECS;
const folder = smollm2Folder();

function recipeOf(codec) {
  return recipeFile(`${OUT}/recipe.yaml`, {
    name: "sparse",
    calibration: shippedTexts(["pride-and-prejudice.txt", "origin-of-species.txt"], 8192),
    plan: { allocator: "uniform", codecs: [codec], embedding: "8 bits" },
    quantize: { quantizer: "gptq" },
  });
}

/** Makes a variant; all of them share a run folder, whose artifact is kept under the codec's name. */
async function make(codec) {
  const out = `${OUT}/run`;
  const { document } = await layerwise(
    ...["compress", folder, "--recipe", recipeOf(codec), "--budget", "1 GiB", "--out", out],
  );
  const artifact = `${OUT}/${codec}`;
  rmSync(artifact, { recursive: true, force: true });
  cpSync(`${out}/artifact`, artifact, { recursive: true });
  const { items } = document.plan.memory;
  const blocks = items.filter(({ key }) => /^(attn|mlp)\.(levels|scales)$/.test(key));
  return {
    artifact,
    fileBytes: document.plan.memory.fileBytes,
    blockBytes: blocks.reduce((n, { bytes }) => n + bytes, 0),
  };
}

/** Decode tokens/s of an artifact by the fastest table of kernels, or by the one named. */
async function speedOf(artifact, isa) {
  const { document } = await layerwise(
    ...["bench", artifact, "--prompt-tokens", "64", "--generate-tokens", "64", ...(isa ? ["--isa", isa] : [])],
  );
  return document.results[0].generateTokensPerSecond.median;
}

/** Speeds of artifacts, measured in turn so that the machine's moods meet all: the median of the rounds. */
async function speeds(artifacts) {
  const found = artifacts.map(() => ({ best: [], avx2: [] }));
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, artifact] of artifacts.entries()) {
      found[i].best.push(await speedOf(artifact));
      found[i].avx2.push(await speedOf(artifact, "avx2"));
    }
  }
  return found.map(({ best, avx2 }) => ({ best: median(best), avx2: median(avx2) }));
}

const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : { windows: WINDOWS, codecs: {} };
const part = flag("part");
for (const codec of part === "speed" ? [] : chosen) {
  const { artifact, fileBytes, blockBytes } = await make(codec);
  const divergence = await windowDivergence(artifact, folder, { states: `${OUT}/reference.states`, windows: WINDOWS });
  result.codecs[codec] = { fileBytes, blockBytes, divergence, ...stamp() };
  save("sparse", result);
}
const timed =
  part === "divergence"
    ? []
    : Object.keys(result.codecs).filter((codec) => existsSync(`${OUT}/${codec}/manifest.json`));
const measured = await speeds(timed.map((codec) => `${OUT}/${codec}`));
for (const [i, codec] of timed.entries()) result.codecs[codec].tokensPerSecond = measured[i];
save("sparse", result);

process.stdout.write(`${sparseText(result)}\n`);
