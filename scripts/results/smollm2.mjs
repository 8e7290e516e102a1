// npm run results:smollm2 [FOLDER] [--full]: SmolLM2-135M to 160 MiB at a context of 2048: memory sum, time, peak RSS,
// held-out quality, the checkpoint against its published reference, and the time of a sweep of plans. --full evaluates
// the whole text.
import { existsSync, readFileSync } from "node:fs";
import { layerwise, MIB, save, smollm2Folder, stamp, table } from "./common.mjs";
import { dataFile } from "./data.mjs";

const OUT = "outputs/results/smollm2-160";
const BUDGET = "160 MiB";
const CONTEXT = "2048";

const folder = smollm2Folder();
const isFull = process.argv.includes("--full");
const text = dataFile("corpora/wikitext-2/wiki.test.raw");

const compress = ["compress", folder, "--budget", BUDGET, "--context", CONTEXT, "--out", OUT];
const made = await layerwise(...compress);
const wasThere = made.document.steps?.every(({ cached }) => cached) ?? false;
const sweeps = [];
for (let i = 0; i < 5; i++) sweeps.push((await layerwise("plan", OUT, "--sweep")).seconds);
const sweep = { seconds: sweeps.sort((a, b) => a - b)[2] };
await layerwise("verify", `${OUT}/artifact`);

const protocol = ["--text", text, "--window", "512", "--stride", "512", ...(isFull ? [] : ["--windows", "40"])];
const evaluated = await layerwise("eval", `${OUT}/artifact`, "--reference", folder, ...protocol);
const { model, reference, divergence, scoredTokens } = evaluated.document.result;

// The reference's own protocol: 20 windows of 1,024 tokens.
const published = JSON.parse(readFileSync("test/fixtures/models/smollm2.json", "utf8")).ppl.find(
  ({ slice }) => slice === "wiki-first-20k",
);
const checkpoint = await layerwise("eval", folder, "--text", text, "--window", "1024", "--windows", "20");
const checkpointPerplexity = checkpoint.document.result.model.perplexity;

const name = isFull ? "smollm2-full" : "smollm2";
const result = {
  ...stamp(),
  model: "SmolLM2-135M",
  budgetMib: 160,
  contextTokens: Number(CONTEXT),
  memoryBytes: made.document.plan.memory.totalBytes,
  fileBytes: made.document.plan.memory.fileBytes,
  compress: { seconds: made.seconds, peakRssBytes: made.peakRssBytes, wasThere },
  sweep: { seconds: sweep.seconds },
  evaluation: { protocol: protocol.slice(2).join(" "), scoredTokens, model, reference, divergence },
  checkpoint: {
    perplexity: checkpointPerplexity,
    published: published.ppl,
    change: checkpointPerplexity / published.ppl - 1,
  },
};
if (wasThere && existsSync(`docs/results/${name}.json`)) {
  // A run that found its steps done measured no compression: keep what the last real one measured.
  result.compress = JSON.parse(readFileSync(`docs/results/${name}.json`, "utf8")).compress;
}
save(name, result);
console.log(
  table(
    ["what", "figure"],
    [
      ["memory sum", `${(result.memoryBytes / MIB).toFixed(2)} MiB of 160`],
      [
        "compress",
        `${result.compress.seconds.toFixed(0)} s, peak RSS ${(result.compress.peakRssBytes / MIB).toFixed(0)} MiB`,
      ],
      ["plan --sweep", `${result.sweep.seconds.toFixed(2)} s`],
      [
        "perplexity",
        `${model.perplexity.toFixed(3)} ± ${model.perplexityError.toFixed(3)}, checkpoint ${reference.perplexity.toFixed(3)}`,
      ],
      [
        "KL divergence",
        `${divergence.mean.toFixed(4)} ± ${divergence.meanError.toFixed(4)}, top-1 ${(100 * divergence.top1Agreement).toFixed(1)} %`,
      ],
      [
        "checkpoint, 20 x 1,024",
        `${checkpointPerplexity.toFixed(4)}, published ${published.ppl} (${(100 * result.checkpoint.change).toFixed(3)} %)`,
      ],
    ],
  ),
);
