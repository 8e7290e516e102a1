// npm run results:pruning [SMOLLM2_FOLDER] [--only=neurons-luc,block-luc,…]: SmolLM2-135M with some of
// each block, or some blocks, taken out: KL divergence from the checkpoint by pruning alone (16 bits) and with 4 bits,
// and decode tokens/s beside the unpruned model at the same codec. Every variant is saved when it is done. Alone on
// the machine.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { flag, layerwise, MIB, save, smollm2Folder, stamp, table } from "./common.mjs";
import { dataFile } from "./data.mjs";

const OUT = "outputs/results/pruning";
const FILE = "docs/results/pruning.json";
const WINDOWS = 16;
const ROUNDS = 3;
/** Pruning, and what an artifact's blocks are packed at. */
const VARIANTS = {
  none: null,
  "neurons-luc": { kind: "neurons", ratio: 0.2, spread: "luc" },
  "neurons-uniform": { kind: "neurons", ratio: 0.2, spread: "uniform" },
  "neurons-edge-llm": { kind: "neurons", ratio: 0.2, spread: "edge-llm" },
  "heads-luc": { kind: "heads", ratio: 0.2, spread: "luc" },
  "block-luc": { kind: "block", ratio: 0.1, spread: "luc" },
  "attention-luc": { kind: "attention", ratio: 0.1, spread: "luc" },
  "mlp-luc": { kind: "mlp", ratio: 0.1, spread: "luc" },
};
const CODECS = {
  exact: { codecs: ["bf16"], embedding: "16 bits" },
  packed: { codecs: ["q4s-g32"], embedding: "8 bits" },
};

const chosen = flag("only")?.split(",") ?? Object.keys(VARIANTS);
const folder = smollm2Folder();
const text = dataFile("corpora/wikitext-2/wiki.test.raw");

/** A recipe as JSON, which is YAML. */
function recipeFile(name, codecs) {
  const source = (file) => ({ path: path.resolve("calibration-data", file), tokens: 8192 });
  const recipe = {
    name,
    calibration: { sources: [source("pride-and-prejudice.txt"), source("origin-of-species.txt")] },
    ...(VARIANTS[name] ? { prune: VARIANTS[name] } : {}),
    plan: { allocator: "uniform", ...codecs },
  };
  mkdirSync(OUT, { recursive: true });
  const file = `${OUT}/${name}.yaml`;
  writeFileSync(file, JSON.stringify(recipe));
  return file;
}

/** Makes a variant at a codec; the seconds of its steps. */
async function make(name, as) {
  const out = `${OUT}/${name}`;
  const { document } = await layerwise(
    ...["compress", folder, "--recipe", recipeFile(name, CODECS[as]), "--budget", "1 GiB", "--out", out],
  );
  if (document.error) throw new Error(`${name}: ${JSON.stringify(document.error)}`);
  const steps = document.steps.map(({ name, elapsedMs, cached }) => ({ name, seconds: elapsedMs / 1000, cached }));
  return { artifact: `${out}/artifact`, steps, fileBytes: document.plan.memory.fileBytes };
}

async function divergence(artifact) {
  const { document } = await layerwise(
    ...["eval", artifact, "--text", text, "--reference", folder, "--reference-states", `${OUT}/reference.states`],
    ...["--noise-floor=false", "--window", "512", "--windows", String(WINDOWS)],
  );
  const { divergence, model } = document.result;
  return { mean: divergence.mean, meanError: divergence.meanError, perplexity: model.perplexity };
}

/** Decode tokens/s of artifacts, measured in turn so that the machine's moods meet all: the median of the rounds. */
async function speeds(artifacts) {
  const found = artifacts.map(() => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [i, artifact] of artifacts.entries()) {
      const { document } = await layerwise("bench", artifact, "--prompt-tokens", "64", "--generate-tokens", "64");
      found[i].push(document.results[0].generateTokensPerSecond.median);
    }
  }
  return found.map((rounds) => rounds.sort((a, b) => a - b)[Math.floor(ROUNDS / 2)]);
}

const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : { windows: WINDOWS, variants: {} };
for (const name of chosen) {
  const exact = await make(name, "exact");
  const alone = await divergence(exact.artifact);
  // In the same run folder: what was pruned is taken as it is, and the artifact replaced.
  const packed = await make(name, "packed");
  const { provenance } = JSON.parse(readFileSync(`${packed.artifact}/manifest.json`, "utf8"));
  result.variants[name] = {
    ...{ prune: VARIANTS[name], kept: provenance.pruning?.kept ?? null, steps: exact.steps },
    ...{ fileBytes: packed.fileBytes, divergence: { exact: alone, packed: await divergence(packed.artifact) } },
    ...stamp(),
  };
  save("pruning", result);
}
const there = Object.keys(result.variants).filter((name) => existsSync(`${OUT}/${name}/artifact/manifest.json`));
const measured = await speeds(there.map((name) => `${OUT}/${name}/artifact`));
for (const [i, name] of there.entries()) result.variants[name].tokensPerSecond = measured[i];
save("pruning", result);

const whole = result.variants.none?.tokensPerSecond;
const rows = Object.entries(result.variants).map(([name, { divergence: of, fileBytes, tokensPerSecond }]) => [
  name,
  `${of.exact.mean.toFixed(4)} ± ${of.exact.meanError.toFixed(4)}`,
  `${of.packed.mean.toFixed(4)} ± ${of.packed.meanError.toFixed(4)}`,
  (fileBytes / MIB).toFixed(1),
  `${tokensPerSecond?.toFixed(1)} (${(tokensPerSecond / whole).toFixed(2)} x)`,
]);
const head = ["pruned", "KL divergence at 16 bits", "at 4 bits", "MiB at 4 bits", "decode tokens/s at 4 bits"];
process.stdout.write(`${table(head, rows)}\n`);
