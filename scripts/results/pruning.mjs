// npm run results:pruning [CHECKPOINT] [-- --model=NAME] [--only=neurons-luc,joint,speed,…] [--tuned=VARIANT=ARTIFACT]:
// a checkpoint with some of each block, or some blocks, taken out: KL divergence from the checkpoint by pruning alone
// (16 bits) and with 4 bits, and decode tokens/s beside the unpruned model, on the best table and on AVX2 (`speed`);
// and plans that choose cuts and codecs together beside plans of bits alone, at the same bytes (`joint`). `--tuned`
// measures a variant's artifact after tuning. Whatever is done is saved. Alone on the machine.
import { existsSync, readFileSync, renameSync, rmSync } from "node:fs";
import { median } from "../../test/peers/runners.mjs";
import { flag, layerwise, save, smollm2Folder, stamp } from "./common.mjs";
import { pruningText } from "./pruning-text.mjs";
import { recipeFile, shippedTexts } from "./recipe-file.mjs";
import { windowDivergence } from "./window-divergence.mjs";

const MODEL = flag("model") ?? "smollm2-135m";
const OUT = `outputs/results/pruning-${MODEL}`;
const FILE = "docs/results/pruning.json";
const WINDOWS = Number(flag("windows") ?? 8);
const ROUNDS = 3;
const TABLES = [null, "avx2"];
/** Calibration tokens of a book, and those that divergences are measured on. */
const BOOK_TOKENS = Number(flag("book-tokens") ?? 4096);
const TRIED_TOKENS = Number(flag("tried") ?? 256);
/** Pruning, and what an artifact's blocks are packed at. */
const VARIANTS = {
  none: null,
  "neurons-uniform": { kind: "neurons", ratio: 0.2, spread: "uniform" },
  "neurons-luc": { kind: "neurons", ratio: 0.2, spread: "luc" },
  "neurons-edge-llm": { kind: "neurons", ratio: 0.2, spread: "edge-llm" },
  "neurons-kl": { kind: "neurons", ratio: 0.2, spread: "kl" },
  "block-luc": { kind: "block", ratio: 0.1, spread: "luc" },
  "block-kl": { kind: "block", ratio: 0.1, spread: "kl" },
};
const CODECS = {
  exact: { codecs: ["bf16"], embedding: "16 bits" },
  packed: { codecs: ["q4s-g32"], embedding: "8 bits" },
};
/** Plans by matrix, and what they may leave out. */
const BITS = ["q6s-g32-s8", "q5t-g32-s8", "q4t-g32-s8", "q3t-g32-s8", "q2t-g32-s8"];
const BLOCK_BITS = (flag("bits")?.split(",") ?? BITS).filter((codec) => BITS.includes(codec));
const KINDS = flag("kinds")?.split(",") ?? ["neurons", "heads", "attention", "mlp", "block"];
const PROBES = ["q3t-g32-s8", "q2t-g32-s8"];

const folder = smollm2Folder();
const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : { models: {} };
const model = { variants: {}, joint: null, ...result.models[MODEL] };
result.models[MODEL] = model;

function recipeOf(name, more) {
  const calibration = shippedTexts(["pride-and-prejudice.txt", "origin-of-species.txt"], BOOK_TOKENS);
  return recipeFile(`${OUT}/${name}.yaml`, { name, calibration, ...more });
}

async function compress(recipe, budget, out) {
  const { document } = await layerwise("compress", folder, "--recipe", recipe, "--budget", budget, "--out", out);
  return document;
}

const secondsOf = ({ steps }) =>
  steps.map(({ name, elapsedMs, cached }) => ({ name, seconds: elapsedMs / 1000, cached }));

const divergence = (artifact) =>
  windowDivergence(artifact, folder, { states: `${OUT}/reference.states`, windows: WINDOWS });

const artifactOf = (name) => `${OUT}/artifact-${name}`;

/** A variant at 16 bits and at 4. */
async function variant(name) {
  // Variants of a kind share what is measured of it.
  const out = `${OUT}/${VARIANTS[name]?.kind ?? "none"}`;
  const prune = VARIANTS[name] ? { prune: VARIANTS[name] } : {};
  const score = { scorer: "kl", options: { tokens: TRIED_TOKENS } };
  const make = async (as) =>
    compress(recipeOf(name, { ...prune, score, plan: { allocator: "uniform", ...CODECS[as] } }), "8 GiB", out);
  const steps = secondsOf(await make("exact"));
  const exact = await divergence(`${out}/artifact`);
  // In the same run folder: what was pruned is taken as it is, and the artifact replaced.
  const { plan, pruning } = await make("packed");
  const kept = pruning?.map((block) => block?.kept ?? null) ?? null;
  model.variants[name] = {
    ...{
      prune: VARIANTS[name],
      kept,
      steps,
      calibrationTokens: 2 * BOOK_TOKENS,
      windows: WINDOWS,
      fileBytes: plan.memory.fileBytes,
    },
    ...{ divergence: { exact, packed: await divergence(`${out}/artifact`) }, ...stamp() },
  };
  rmSync(artifactOf(name), { recursive: true, force: true });
  renameSync(`${out}/artifact`, artifactOf(name));
}

/** Decode tokens/s of the variants' artifacts, measured in turn so that the machine's moods meet all: medians. */
async function speed() {
  const names = Object.keys(model.variants).filter((name) => existsSync(`${artifactOf(name)}/manifest.json`));
  for (const isa of TABLES) {
    const found = names.map(() => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [i, name] of names.entries()) {
        const table = isa ? ["--isa", isa] : [];
        const counts = ["--prompt-tokens", "32", "--generate-tokens", "64", ...table];
        const { document } = await layerwise("bench", artifactOf(name), ...counts);
        found[i].push(document.results[0].generateTokensPerSecond.median);
      }
    }
    for (const [i, name] of names.entries()) {
      const own = model.variants[name];
      own.tokensPerSecond = { ...own.tokensPerSecond, [isa ?? "best"]: median(found[i]) };
    }
  }
}

/** The recipe of plans by matrix; `prune`: they may leave something out. */
function plansRecipe(prune) {
  const choosing = prune ? { prune: { kind: KINDS, ratio: "auto" } } : {};
  const options = { unit: "matrix", tokens: TRIED_TOKENS, probeEvery: 4, fitPairs: 0, probes: PROBES };
  return recipeOf(prune ? "joint" : "bits", {
    ...choosing,
    score: { scorer: "kl", options: { ...options, embeddingProbes: ["q4t-g32-s8"] } },
    plan: { allocator: "optimal", codecs: BLOCK_BITS, embeddingCodecs: ["q6s-g32-s8", "q4t-g32-s8"] },
    quantize: { quantizer: "gptq" },
    guard: { tokens: 2048 },
  });
}

/** Total bytes of the plans that give every matrix one codec, by codec. */
async function uniformBytes(out) {
  const { document } = await layerwise("plan", out, "--uniform");
  return Object.fromEntries(document.uniform.map(({ codec, plan }) => [codec, plan.memory.totalBytes]));
}

async function joint() {
  const out = `${OUT}/plans`;
  // Scores and library are for all budgets.
  await compress(plansRecipe(false), "8 GiB", out);
  const bytes = await uniformBytes(out);
  const [three, two] = PROBES.map((codec) => bytes[codec]);
  const budgets = { 4: bytes["q4t-g32-s8"], 3: three, 2.5: Math.round((two + three) / 2) };
  model.joint = {
    kinds: KINDS,
    calibrationTokens: 2 * BOOK_TOKENS,
    codecs: BLOCK_BITS,
    windows: WINDOWS,
    tokens: TRIED_TOKENS,
    budgets: [],
    ...stamp(),
  };
  for (const [width, budget] of Object.entries(budgets).sort(([a], [b]) => a - b)) {
    const found = { width: Number(width), budgetBytes: budget };
    for (const name of ["bits", "joint"]) {
      const document = await compress(plansRecipe(name === "joint"), `${budget} B`, out);
      const { plan, guard, pruning } = document;
      found[name] = {
        ...{ totalBytes: plan.memory.totalBytes, fileBytes: plan.memory.fileBytes, predictedLoss: plan.predictedLoss },
        ...{ planned: plan.pruning ?? null, pruning, guard, steps: secondsOf(document) },
        divergence: await divergence(`${out}/artifact`),
      };
    }
    model.joint.budgets.push(found);
    save("pruning", result);
  }
}

async function tuned(name, artifact) {
  model.variants[name].tuned = { divergence: await divergence(artifact), ...stamp() };
}

const PARTS = { joint, speed };
for (const name of flag("only")?.split(",") ?? [...Object.keys(VARIANTS), "speed", "joint"]) {
  await (PARTS[name] ?? (() => variant(name)))();
  save("pruning", result);
}
const after = flag("tuned")?.split("=");
if (after) await tuned(...after);
save("pruning", result);
process.stdout.write(`${pruningText(result)}\n`);
