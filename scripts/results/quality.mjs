// npm run results:quality [SMOLLM2_FOLDER] [--only=frontier,uniform] [--from-library]: KL divergence of SmolLM2-135M at
// given bytes, beside llama.cpp's files (its protocol, tokens and tensor bytes: test/peers/baselines) and beside
// uniform plans of the same bytes. Two hours; alone on the machine.
// --from-library: plans are not packed anew on their own blocks' inputs, which is most of that time.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import YAML from "yaml";
import { flag, layerwise, MIB, note, save, smollm2Folder, stamp } from "./common.mjs";
import { dataFile } from "./data.mjs";
import { divergenceOf, llamaCppFiles } from "./llama-protocol.mjs";

const OUT = "outputs/results/quality";
const RECIPE = "pipelines/max-quality.yaml";
/** Sizes below llama.cpp's smallest file. */
const SMALLER_MIB = [50, 55, 60];
/** Uniform plans: one codec everywhere, embedding and output head too. */
const UNIFORM = ["q3t-g32-s8", "q4t-g32-s8", "q5t-g32-s8", "q6s-g32-s8"];

/** Assembled from the library alone, no matrix packed anew. */
const FROM_LIBRARY = { quantizer: "gptq", requantize: false };

const checkpoint = smollm2Folder();
const recipe = YAML.parse(readFileSync(RECIPE, "utf8"));
if (process.argv.includes("--from-library")) recipe.quantize = FROM_LIBRARY;
mkdirSync(OUT, { recursive: true });

/** The shipped recipe with other settings, and llama.cpp's calibration texts. */
function recipeFile(name, change) {
  const file = `${OUT}/${name}.yaml`;
  const sources = ["c4", "wiki"].map((text) => {
    const tokens = recipe.calibration.sources.reduce((sum, source) => sum + source.tokens, 0) / 2;
    return { path: path.resolve(dataFile(`corpora/calibration/${text}.utf8`)), tokens };
  });
  writeFileSync(file, YAML.stringify({ ...change(recipe), name, calibration: { ...recipe.calibration, sources } }));
  return file;
}

async function compress(file, fileBytes, runtimeBytes) {
  const budget = fileBytes === null ? "64 GiB" : `${Math.floor(fileBytes + runtimeBytes)} B`;
  const { document, seconds, peakRssBytes } = await layerwise(
    ...["compress", checkpoint, "--recipe", file, "--budget", budget, "--out", `${OUT}/run`],
  );
  const { memory, predictedLoss } = document.plan;
  const guard = `${OUT}/run/guard.json`;
  return {
    ...{
      fileBytes: memory.fileBytes,
      runtimeBytes: memory.totalBytes - memory.fileBytes,
      seconds,
      peakRssBytes,
      predictedLoss,
    },
    guard: existsSync(guard) ? JSON.parse(readFileSync(guard, "utf8")).value : null,
    artifact: document.artifact,
  };
}

/** What a budget covers besides the weights files: the same for every plan of the recipe. */
async function runtimeBytesOf(file) {
  await layerwise("score", checkpoint, "--recipe", file, "--out", `${OUT}/run`);
  const { document } = await layerwise("plan", `${OUT}/run`, "--budget", "64 GiB");
  const { totalBytes, fileBytes } = document.plan.memory;
  return totalBytes - fileBytes;
}

/** KL divergence as it runs, and with f32 activations. */
async function measureBoth(artifact) {
  const found = await measure(artifact);
  const exact = await divergenceOf(artifact, checkpoint, { activations: "f32" });
  return { ...found, kldFloatActivations: exact.divergence.mean };
}

/** KL divergence as it runs. */
async function measure(artifact) {
  const { divergence, model, activations, kvType } = await divergenceOf(artifact, checkpoint);
  const { mean, meanError, median, p99, top1Agreement } = divergence;
  const { perplexity } = model;
  return { kld: mean, kldError: meanError, median, p99, top1Agreement, perplexity, activations, kvType };
}

/**
 * Our artifact of at most so many bytes of files: a plan of its own, packed on the inputs of its own blocks, guarded.
 */
async function frontier() {
  const file = recipeFile("quality", (base) => base);
  const theirs = llamaCppFiles().filter(({ isFrontier }) => isFrontier);
  const wanted = [...SMALLER_MIB.map((mib) => ({ mib })), ...theirs];
  const runtimeBytes = await runtimeBytesOf(file);
  const points = [];
  for (const { mib, name, kld: llamaCppKld } of wanted) {
    note(`${mib.toFixed(1)} MiB`);
    const { artifact, fileBytes, ...made } = await compress(file, mib * MIB, runtimeBytes);
    const found = await measureBoth(artifact);
    points.push({
      mib: fileBytes / MIB,
      requantized: recipe.quantize.requantize,
      ...found,
      llamaCppName: name ?? null,
      llamaCppMib: mib,
      llamaCppKld: llamaCppKld ?? null,
      ...made,
    });
    note(
      `${(fileBytes / MIB).toFixed(2)} MiB: ${found.kld.toFixed(5)}${llamaCppKld ? `, ${(found.kld / llamaCppKld).toFixed(2)} of llama.cpp's` : ""}`,
    );
  }
  return points;
}

/**
 * Uniform plans, and `optimal` at exactly their bytes and half-way between: the same library, no matrix packed anew.
 */
async function uniform() {
  // The guard stays: what ships is measured.
  const plain = { quantize: FROM_LIBRARY };
  const optimal = recipeFile("optimal", (base) => ({
    ...{ ...base, ...plain },
    // Narrower ones too: at the bytes of the narrowest uniform plan there would be nothing to exchange.
    plan: { ...base.plan, embeddingCodecs: [...new Set([...base.plan.embeddingCodecs, ...UNIFORM])] },
  }));
  const rows = [];
  for (const codec of UNIFORM) {
    const file = recipeFile(`uniform-${codec}`, (base) => ({
      ...{ ...base, ...plain },
      plan: { ...base.plan, allocator: "uniform", codecs: [codec], embedding: codec, embeddingCodecs: [] },
    }));
    const { artifact, fileBytes, runtimeBytes } = await compress(file, null, 0);
    const same = await measure(artifact);
    const { artifact: other, fileBytes: bytes, predictedLoss } = await compress(optimal, fileBytes, runtimeBytes);
    rows.push({
      codec,
      mib: fileBytes / MIB,
      uniform: { ...same, predictedLoss: predictedUniform(codec) },
      optimalMib: bytes / MIB,
      optimal: { ...(await measure(other)), predictedLoss },
      runtimeBytes,
    });
    note(`${codec}: ${same.kld.toFixed(5)} uniform, ${rows.at(-1).optimal.kld.toFixed(5)} optimal`);
  }
  const between = [];
  for (const [i, upper] of rows.slice(1).entries()) {
    const lower = rows[i];
    const mib = (lower.mib + upper.mib) / 2;
    const { artifact, fileBytes, predictedLoss } = await compress(optimal, mib * MIB, lower.runtimeBytes);
    const middle = (name) => Math.sqrt(lower.uniform[name] * upper.uniform[name]);
    between.push({
      mib: fileBytes / MIB,
      interpolated: middle("kld"),
      interpolatedPrediction: middle("predictedLoss"),
      optimal: { ...(await measure(artifact)), predictedLoss },
    });
  }
  return { rows, between };
}

/** What the scores of the last plan predict for one codec everywhere. */
function predictedUniform(codec) {
  const { losses } = JSON.parse(readFileSync(`${OUT}/run/scores.json`, "utf8")).value;
  return Object.values(losses).reduce((sum, of) => sum + of[codec], 0);
}

const PARTS = { frontier, uniform };
const parts = flag("only")?.split(",") ?? Object.keys(PARTS);
const before = existsSync("docs/results/quality.json")
  ? JSON.parse(readFileSync("docs/results/quality.json", "utf8"))
  : {};
const result = { ...before, ...stamp(), model: "SmolLM2-135M", recipe: RECIPE };
for (const part of parts) {
  result[part === "frontier" ? "points" : part] = await PARTS[part]();
  save("quality", result);
}
