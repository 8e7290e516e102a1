// npm run results:fused-twins [SMOLLM2_FOLDER] [--threads=N]: the same weights under fused and unfused tensors, through
// every stage: SmolLM2-135M and its copy in Phi-3's layout, the tests' GPT-NeoX and its copy with q, k and v apart. All
// that ships has to be the same, to the byte. A stopped run goes on.
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { openArtifact, readManifest } from "../../dist/artifact/reader.js";
import * as lw from "../../dist/compress-entry.js";
import * as formats from "../../dist/formats/safetensors/index.js";
import { ARCHITECTURES } from "../../dist/model/architectures/index.js";
import { MIB, progressLine, save, smollm2Folder, stamp, table } from "./common.mjs";
import { dataFile } from "./data.mjs";
import { SEPARATE_NEOX, separateNeox, writePhi3Layout, writeSeparateNeox } from "./layout-twins.mjs";

const OUT = "outputs/results/fused-twins";
const TEXT = "corpora/wikitext-2/wiki.test.raw";
const EVALUATION = { windowTokens: 256, maxWindows: 8 };

/**
 * Like `fast`, on less text: a probe of each matrix, exact allocation, GPTQ (on the inputs of the plan's own blocks
 * too), the guard.
 */
function settings({ tokens, sequenceTokens, probeTokens, guardTokens, requantize }) {
  return (recipe) =>
    lw.Recipe.parse({
      ...recipe,
      name: "fused-twins",
      calibration: { ...recipe.calibration, sequenceTokens, sources: sourcesOf(recipe, tokens) },
      score: {
        scorer: "kl",
        options: {
          ...{ unit: "matrix", tokens: probeTokens, fitPairs: 0 },
          ...{ probes: ["q3t-g32-s8"], embeddingProbes: ["q4t-g32-s8"] },
        },
      },
      plan: {
        ...recipe.plan,
        codecs: ["q4t-g32-s8", "q3t-g32-s8"],
        embeddingCodecs: ["q4t-g32-s8"],
      },
      quantize: { quantizer: "gptq", requantize },
      guard: { tokens: guardTokens },
    });
}

const sourcesOf = (recipe, tokens) =>
  recipe.calibration.sources.map((source) => ({ ...source, tokens: tokens / recipe.calibration.sources.length }));

const PAIRS = [
  {
    ...{ name: "neox-tiny", layouts: ["GPT-NeoX", "q, k and v apart"], budget: "7.5 MiB", contextTokens: 256 },
    recipe: settings({ tokens: 8192, sequenceTokens: 256, probeTokens: 256, guardTokens: 2048, requantize: true }),
    folder: () => "test/fixtures/models/neox-tiny",
    writeTwin: writeSeparateNeox,
  },
  {
    ...{ name: "SmolLM2-135M", layouts: ["Llama", "Phi-3"], budget: "90 MiB", contextTokens: 512 },
    recipe: settings({ tokens: 2048, sequenceTokens: 256, probeTokens: 64, guardTokens: 256, requantize: false }),
    folder: smollm2Folder,
    writeTwin: writePhi3Layout,
  },
];

const threads = Number(process.argv.find((arg) => arg.startsWith("--threads="))?.slice("--threads=".length)) || null;

const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");

/** Compresses one of two twins and measures what ships. */
async function measure({ name, budget, contextTokens, recipe }, folder, original, place) {
  const loaded = await lw.loadRecipe("max-quality");
  const resolved = { ...loaded, recipe: recipe(loaded.recipe) };
  const out = `${OUT}/${name}-${place}`;
  const { artifact, plan, scores } = await lw.compress({
    ...{
      checkpoint: folder,
      out,
      budget,
      contextTokens,
      recipe: resolved.recipe,
      calibration: lw.calibrationFiles(resolved),
    },
    ...{ kvType: null, residency: null, budgetCovers: null, executor: "auto", backend: "auto", threads },
    onProgress: progressLine(),
  });
  const manifest = await readManifest(artifact);
  const { divergence, arithmetic } = await evaluateArtifact(artifact, original);
  return {
    ...{ fileBytes: plan.memory.fileBytes, totalBytes: plan.memory.totalBytes },
    ...{
      klDivergence: divergence.mean,
      klDivergenceError: divergence.meanError,
      top1Agreement: divergence.top1Agreement,
    },
    ...{ arithmetic, guard: manifest.provenance.guard },
    sha256: {
      losses: sha256(JSON.stringify(scores.losses)),
      plan: sha256(JSON.stringify(plan.units)),
      weights: weightsHash(manifest),
    },
  };
}

/** Over the weights files, in order. */
function weightsHash({ files }) {
  return sha256(files.flatMap(({ name, sha256: sum }) => (name.endsWith(".safetensors") ? [name, sum] : [])).join());
}

async function evaluateArtifact(artifact, original) {
  const tokenizer = await lw.loadTokenizer(original);
  const ids = tokenizer.encode(readFileSync(dataFile(TEXT), "utf8").slice(0, 100_000), { specialTokens: false });
  const opened = await openArtifact(artifact);
  const checkpoint = await lw.openCheckpoint(original);
  const executor = await lw.createExecutor(opened);
  const reference = await lw.createExecutor(checkpoint, { residency: "streamed", activations: "f32" });
  try {
    const windows = lw.cutWindows(ids, EVALUATION);
    const { divergence, model } = await lw.evaluate({ executor, reference, windows });
    return { divergence, arithmetic: model.arithmetic };
  } finally {
    await executor.dispose();
    await reference.dispose();
    await checkpoint.close();
    await opened.close();
  }
}

Object.assign(ARCHITECTURES, { [SEPARATE_NEOX]: separateNeox(ARCHITECTURES.gpt_neox) });
const pairs = [];
for (const pair of PAIRS) {
  const folder = pair.folder();
  const twin = `${OUT}/${pair.name}-twin`;
  if (!existsSync(twin)) await pair.writeTwin(formats, folder, twin);
  const twins = [];
  for (const [place, from] of [folder, twin].entries()) {
    twins.push({ layout: pair.layouts[place], ...(await measure(pair, from, folder, place)) });
  }
  const same = ["losses", "plan", "weights"].filter((what) => twins[0].sha256[what] === twins[1].sha256[what]);
  pairs.push({ model: pair.name, budget: pair.budget, same, twins });
  save("fused-twins", { ...stamp(), text: { name: "wikitext-2 wiki.test.raw", ...EVALUATION }, pairs });
}
const rows = pairs.flatMap(({ model, same, twins }) =>
  twins.map(({ layout, fileBytes, klDivergence }) => [
    ...[model, layout, (fileBytes / MIB).toFixed(3), klDivergence.toFixed(6), same.join(", ")],
  ]),
);
console.log(table(["model", "layout", "MiB", "KL divergence", "the same bytes"], rows));
if (pairs.some(({ same }) => same.length < 3)) throw new Error("twins differ");
