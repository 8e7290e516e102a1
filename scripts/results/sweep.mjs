// npm run results:sweep [FOLDER]: predicted and measured KL divergence of SmolLM2-135M over ten budgets, for each
// scorer that predicts.
import { rankCorrelation, SCORERS, sweepBudgets } from "../../dist/compress-entry.js";
import { MIB, save, smollm2Folder, stamp, table } from "./common.mjs";
import { measurePlans, openPlans, scoresOf } from "./plans.mjs";

const WINDOWS = 4;

const setup = await openPlans(smollm2Folder(), WINDOWS);
const sweeps = [];
for (const [scorer, { predictsLoss }] of Object.entries(SCORERS)) {
  if (!predictsLoss) continue;
  const scores = await scoresOf(setup, scorer);
  const began = performance.now();
  const { points } = sweepBudgets({ ...setup.request, scores });
  const planSeconds = (performance.now() - began) / 1000;
  const results = await measurePlans(
    setup,
    points.map(({ plan }) => plan),
  );
  const rows = points.map((point, i) => ({
    budgetBytes: point.budgetBytes,
    totalBytes: point.totalBytes,
    fileBytes: point.plan.memory.fileBytes,
    bitsPerWeight: point.bitsPerWeight,
    predictedLoss: point.predictedLoss,
    klDivergence: results[i].divergence.mean,
    klDivergenceError: results[i].divergence.meanError,
    perplexity: results[i].model.perplexity,
  }));
  const correlation = rankCorrelation(
    rows.map(({ predictedLoss }) => predictedLoss),
    rows.map(({ klDivergence }) => klDivergence),
  );
  sweeps.push({ scorer, planSeconds, rankCorrelation: correlation, points: rows });
}
await setup.checkpoint.close();

const { windows } = setup;
const text = { name: "wikitext-2 wiki.test.raw", windows: windows.windows.length, windowTokens: windows.windowTokens };
save("sweep", { ...stamp(), model: "SmolLM2-135M", text, sweeps });
for (const { scorer, rankCorrelation: rho, points } of sweeps) {
  console.log(`\n${scorer}: rank correlation of predicted and measured ${rho.toFixed(3)}\n`);
  const head = ["MiB in all", "bits a weight", "predicted", "measured KL divergence", "perplexity"];
  const cells = points.map((point) => [
    (point.totalBytes / MIB).toFixed(1),
    point.bitsPerWeight.toFixed(2),
    point.predictedLoss.toPrecision(3),
    `${point.klDivergence.toFixed(5)} ± ${point.klDivergenceError.toFixed(5)}`,
    point.perplexity.toFixed(2),
  ]);
  console.log(table(head, cells));
}
