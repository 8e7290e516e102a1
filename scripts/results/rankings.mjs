// npm run results:rankings [FOLDER]: measured KL divergence of SmolLM2-135M plans of the same bytes, by ranking.
// Every ranking goes through the same allocator (lsaq: 16, 8 and 4 bits), so that only the order of the blocks differs.
import { Random } from "../../dist/compress-entry.js";
import { MIB, save, smollm2Folder, stamp, table } from "./common.mjs";
import { measurePlans, openPlans, planOf, scoresOf } from "./plans.mjs";

const SCORERS = ["lsaq", "cosine", "output-mse", "kl"];
const RANDOM_SEEDS = [1, 2, 3, 4, 5];
const BUDGETS_MIB = [160, 180, 230];
const WINDOWS = 12;

const setup = await openPlans(smollm2Folder(), WINDOWS);
const measured = [];
for (const scorer of SCORERS) measured.push([scorer, await scoresOf(setup, scorer)]);
const lsaq = measured[0][1];
const ranked = (name, importance) => [name, { ...lsaq, scorer: name, importance, losses: null }];
const rankings = [
  ...measured,
  ranked(
    "reversed lsaq",
    lsaq.importance.map((value) => -value),
  ),
  ...RANDOM_SEEDS.map((seed) => ranked(`random ${seed}`, new Random(seed).shuffle(lsaq.importance.map((_, i) => i)))),
];

const budgets = [];
for (const mib of BUDGETS_MIB) {
  const plans = rankings.map(([, scores]) => planOf(setup, scores, mib * MIB));
  const results = await measurePlans(setup, plans);
  budgets.push({
    budgetMib: mib,
    plans: rankings.map(([ranking], i) => ({
      ranking,
      fileBytes: plans[i].memory.fileBytes,
      totalBytes: plans[i].memory.totalBytes,
      klDivergence: results[i].divergence.mean,
      klDivergenceError: results[i].divergence.meanError,
      perplexity: results[i].model.perplexity,
      top1Agreement: results[i].divergence.top1Agreement,
    })),
  });
}
await setup.checkpoint.close();

const { windows } = setup;
const text = { name: "wikitext-2 wiki.test.raw", windows: windows.windows.length, windowTokens: windows.windowTokens };
save("rankings", { ...stamp(), model: "SmolLM2-135M", text, budgets });
const rows = rankings.map(([ranking], i) => [
  ranking,
  ...budgets.map(({ plans }) => `${plans[i].klDivergence.toFixed(4)} ± ${plans[i].klDivergenceError.toFixed(4)}`),
]);
console.log(table(["ranking", ...budgets.map(({ budgetMib }) => `${budgetMib} MiB`)], rows));
