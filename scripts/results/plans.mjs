// Scores and measured divergence of plans of SmolLM2-135M, for the scripts that compare rankings and predictions.
import { readFileSync } from "node:fs";
import * as lw from "../../dist/compress-entry.js";
import { progressLine } from "./common.mjs";
import { dataFile } from "./data.mjs";

const CONTEXT = 2048;
const WINDOW = 512;

/** Opens the checkpoint with what plans and their measurement need. */
export async function openPlans(folder, windowCount) {
  const loaded = await lw.loadRecipe("lsaq");
  const checkpoint = await lw.openCheckpoint(folder);
  const tokenizer = await lw.loadTokenizer(folder);
  const options = {
    checkpoint: folder,
    budget: "1 GiB",
    contextTokens: CONTEXT,
    kvType: null,
    residency: null,
    budgetCovers: null,
    executor: "auto",
    backend: "auto",
    recipe: loaded.recipe,
    calibration: lw.calibrationFiles(loaded),
  };
  const request = lw.planRequest(checkpoint, options, { device: null });
  const maths = await lw.openMaths({});
  const library = packedLibrary(maths, checkpoint);
  const ids = tokenizer.encode(readFileSync(dataFile("corpora/wikitext-2/wiki.test.raw"), "utf8").slice(0, 400_000), {
    specialTokens: false,
  });
  const windows = lw.cutWindows(ids, { windowTokens: WINDOW, maxWindows: windowCount });
  return { checkpoint, options, request, library, windows };
}

/**
 * The checkpoint under any choice of codecs (matrix id -> codec id): each matrix at each codec is packed once, and
 * kept.
 */
function packedLibrary(maths, checkpoint) {
  const packed = new Map();
  const under = (codecs) => {
    const overlay = lw.quantizedOverlay(checkpoint, (id, matrix) =>
      lw.packWith(maths, codecs.get(id), "nearest")(id, matrix),
    );
    const readMatrix = (id) => {
      const key = `${codecs.get(id)} ${id}`;
      if (!packed.has(key)) packed.set(key, overlay.readMatrix(id));
      return packed.get(key);
    };
    return { ...overlay, readMatrix };
  };
  return { under };
}

/** Scores by one scorer, kept in a run folder: a second call reads them. */
export async function scoresOf({ options }, scorer) {
  const recipe = { ...options.recipe, score: { scorer, options: {} } };
  const onProgress = progressLine();
  const out = `outputs/results/scores-${scorer}`;
  return (await lw.compress({ ...options, recipe, out, until: "scores", onProgress })).scores;
}

/** The plan of a budget (null: no limit) under some scores. */
export function planOf({ request }, scores, budgetBytes) {
  return lw.makePlan({ ...request, scores, budgetBytes });
}

/** Measured mean KL divergence and perplexity of plans, equal plans once. In the plans' order. */
export async function measurePlans({ checkpoint, library, windows }, plans) {
  const keyOf = (plan) => JSON.stringify(plan.units.map(({ id, codec }) => [id, codec]));
  const distinct = new Map(plans.map((plan) => [keyOf(plan), plan]));
  const executors = [];
  for (const plan of distinct.values()) {
    const codecs = new Map(plan.units.map(({ id, codec }) => [id, codec]));
    executors.push(await lw.createExecutor(library.under(codecs), { residency: "packed", activations: "f32" }));
  }
  const reference = await lw.createExecutor(checkpoint, { residency: "streamed", activations: "f32" });
  const results = await lw.evaluateAll({ executors, reference, windows, onProgress: progressLine() });
  for (const executor of [...executors, reference]) await executor.dispose();
  const byKey = new Map([...distinct.keys()].map((key, i) => [key, results[i]]));
  return plans.map((plan) => byKey.get(keyOf(plan)));
}
