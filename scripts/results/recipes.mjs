// npm run results:recipes [SMOLLM2_FOLDER] [--only=fast,max-quality] [--shape=fast]: what the shipped recipes take on
// SmolLM2-135M, stage by stage, and what they would take on a model of 1.1 billion weights: one block of its shape
// measured, times its blocks. Alone on the machine.
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { flag, layerwise, save, smollm2Folder, stamp } from "./common.mjs";
import { SHAPE, writeShape } from "./shape-checkpoint.mjs";

const OUT = "outputs/results/recipes";
const FILE = "docs/results/recipes.json";
const BUDGET = "140MiB";

const recipes = (flag("only") ?? "fast,max-quality").split(",").filter(Boolean);
const shaped = (flag("shape") ?? "fast").split(",").filter(Boolean);
const checkpoint = smollm2Folder();

/** One fresh run of a recipe: seconds a step, and the guard's figures. */
async function runRecipe(recipe, target, out, budget) {
  rmSync(out, { recursive: true, force: true });
  const { document, seconds, peakRssBytes, notes } = await layerwise(
    ...["compress", target, "--recipe", recipe, "--budget", budget, "--out", out],
  );
  const steps = document.steps.map(({ name, elapsedMs }) => ({ name, seconds: elapsedMs / 1000 }));
  const { memory, predictedLoss } = document.plan;
  return {
    ...{ recipe, budget, seconds, peakRssBytes, steps, fileBytes: memory.fileBytes, predictedLoss },
    ...{ guard: document.guard ?? null, estimate: estimateOf(notes) },
  };
}

/** What kl said that a block and a comparison take, in seconds. */
function estimateOf(notes) {
  const found = /estimated .*: \d+ blocks of ([\d.]+) (ms|s|min), comparisons of ([\d.]+) (ms|s|min)/.exec(notes);
  const unit = { ms: 0.001, s: 1, min: 60 };
  return found && { block: found[1] * unit[found[2]], comparison: found[3] * unit[found[4]] };
}

/** Seconds that packing took, of blocks' matrices and of the others: each packed matrix says so itself. */
async function packingSeconds(out) {
  const { openSafetensors } = await import("../../dist/formats/safetensors/index.js");
  const { blockOf } = await import("../../dist/model/matrix-id.js");
  const sums = { block: 0, outer: 0 };
  for (const name of readdirSync(path.join(out, "library"))) {
    const file = await openSafetensors(path.join(out, "library", name));
    const part = blockOf(file.metadata.get("matrix")) === null ? "outer" : "block";
    sums[part] += Number(file.metadata.get("seconds"));
    await file.close();
  }
  return sums;
}

/**
 * The recipe on one block of the shape, and from it on all of them. kl runs every later block for each variant of a
 * block, so its passes grow with the square of the blocks; all other steps do the same for each block, and once what
 * embedding and output head need.
 */
async function predictShape(recipe) {
  const folder = path.resolve(OUT, "shape");
  if (!existsSync(`${folder}/config.json`)) await writeShape(folder);
  const out = `${OUT}/shape-${recipe}`;
  const run = await runRecipe(recipe, folder, out, "1GiB");
  const { outer } = await packingSeconds(out);
  const { options } = JSON.parse(readFileSync(`${out}/scores.json`, "utf8")).value;
  const { blocks } = SHAPE;
  // Every so many blocks' matrices of a role are probed.
  const probed = (7 * options.probes.length * blocks) / options.probeEvery;
  const variants = probed + 2 * options.embeddingProbes.length + options.fitPairs;
  const passes =
    probed * ((blocks + 1) / 2) + blocks * (options.embeddingProbes.length + 1) + (options.fitPairs * blocks) / 2;
  const predicted = run.steps.map(({ name, seconds }) => {
    if (name === "scores") return { name, seconds: passes * run.estimate.block + variants * run.estimate.comparison };
    const once = name === "library" ? outer : 0;
    return { name, seconds: once + blocks * (seconds - once) };
  });
  const seconds = predicted.reduce((sum, step) => sum + step.seconds, 0);
  return { shape: SHAPE.name, blocks, outerSeconds: outer, variants, passes, block: run, predicted, seconds };
}

const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : {};
const keep = (part, name, value) => {
  result[part] = { ...result[part], [name]: { ...value, ...stamp() } };
  save("recipes", result);
};
for (const name of recipes) keep("smollm2", name, await runRecipe(name, checkpoint, `${OUT}/${name}`, BUDGET));
for (const name of shaped) keep("shape", name, await predictShape(name));
