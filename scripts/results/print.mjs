// npm run results:print: writes docs/results.md from the measured documents in docs/results/. Nothing in it is typed.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { draftersPicture } from "../../dist/bench/drafters/picture.js";
import { MIB, table, taken } from "./common.mjs";
import { dataList } from "./data.mjs";
import { exitsText } from "./exits-text.mjs";
import { ffnDownText } from "./ffn-down-text.mjs";
import { nativeText } from "./native-text.mjs";
import { pruningText, repairsText } from "./pruning-text.mjs";
import { qualityPicture, qualityText } from "./quality-text.mjs";
import { recipesText } from "./recipes-text.mjs";
import { sparseText } from "./sparse-text.mjs";
import { tuningText } from "./tuning-text.mjs";
import { votingText } from "./voting-text.mjs";

const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
const mib = (bytes, digits = 1) => (bytes / MIB).toFixed(digits);
/** With two more digits where the error would vanish. */
function withError(value, error, digits) {
  const shown = error < 0.5 * 10 ** -digits ? digits + 2 : digits;
  return `${value.toFixed(shown)} ± ${error.toFixed(shown)}`;
}

function smollm2(result) {
  const { model, reference, divergence, scoredTokens, protocol } = result.evaluation;
  const rows = [
    [
      "memory sum at a context of 2,048",
      `${mib(result.memoryBytes, 2)} MiB, of which files ${mib(result.fileBytes, 2)} MiB`,
    ],
    [
      "compress: time, peak resident memory",
      `${result.compress.seconds.toFixed(0)} s, ${mib(result.compress.peakRssBytes, 0)} MiB`,
    ],
    ["plan --sweep, ten budgets", `${result.sweep.seconds.toFixed(2)} s`],
    ["perplexity, artifact", withError(model.perplexity, model.perplexityError, 3)],
    ["perplexity, checkpoint in f32", withError(reference.perplexity, reference.perplexityError, 3)],
    ["KL divergence, nats a token", withError(divergence.mean, divergence.meanError, 4)],
    [
      "  median, 90 %, 99 %, max",
      [divergence.median, divergence.p90, divergence.p99, divergence.max].map((x) => x.toFixed(4)).join(", "),
    ],
    ["top-1 agreement", percent(divergence.top1Agreement)],
    [
      "checkpoint perplexity, 20 windows of 1,024",
      `${result.checkpoint.perplexity.toFixed(4)}; independent reference ${result.checkpoint.published} (${percent(result.checkpoint.change, 4)})`,
    ],
  ];
  const how = `${scoredTokens} tokens scored (${protocol}) of wikitext-2 wiki.test.raw; ${model.arithmetic.executor} on ${model.arithmetic.backend}, activations ${model.arithmetic.activations}, keys and values ${model.arithmetic.kvType}.`;
  return `${table(["what", "figure"], rows)}\n\n${how} ${taken(result)}`;
}

function rankings(result) {
  const [first] = result.budgets;
  const rows = first.plans.map(({ ranking }, i) => [
    ranking,
    ...result.budgets.map(({ plans }) => withError(plans[i].klDivergence, plans[i].klDivergenceError, 4)),
  ]);
  const bytes = result.budgets.map(({ budgetMib, plans }) => {
    const sizes = [...new Set(plans.map(({ totalBytes }) => totalBytes))].map((size) => mib(size, 2));
    return `${budgetMib} MiB: ${sizes.join(", ")}`;
  });
  const head = ["ranking", ...result.budgets.map(({ budgetMib }) => `${budgetMib} MiB`)];
  return `${table(head, rows)}\n\nMiB really taken: ${bytes.join("; ")}. ${result.text.windows} windows of ${result.text.windowTokens} tokens of ${result.text.name}. ${taken(result)}`;
}

function sweep(result) {
  const parts = result.sweeps.map(({ scorer, rankCorrelation, planSeconds, points }) => {
    const rows = points.map((point) => [
      mib(point.totalBytes),
      point.bitsPerWeight.toFixed(2),
      point.predictedLoss.toPrecision(3),
      withError(point.klDivergence, point.klDivergenceError, 5),
      point.perplexity.toFixed(2),
    ]);
    const head = ["MiB in all", "bits a weight", "predicted loss", "measured KL divergence", "perplexity"];
    return `**\`${scorer}\`**: rank correlation of predicted and measured ${rankCorrelation.toFixed(3)}; the ten plans took ${planSeconds.toFixed(2)} s.\n\n${table(head, rows)}`;
  });
  return `${parts.join("\n\n")}\n\n${result.text.windows} windows of ${result.text.windowTokens} tokens of ${result.text.name}. ${taken(result)}`;
}

function fusedTwins(result) {
  const rows = result.pairs.flatMap(({ model, budget, same, twins }) =>
    twins.map(({ layout, fileBytes, klDivergence, klDivergenceError, sha256 }) => [
      ...[model, layout, budget, `${mib(fileBytes, 3)} MiB`, withError(klDivergence, klDivergenceError, 5)],
      ...[sha256.weights.slice(0, 12), same.join(", ") || "nothing"],
    ]),
  );
  const head = [
    "model",
    "layout",
    "budget",
    "files",
    "KL divergence",
    "sha256 of the weights files",
    "the same in both",
  ];
  const { name, windowTokens, maxWindows } = result.text;
  return `${table(head, rows)}\n\n${maxWindows} windows of ${windowTokens} tokens of ${name}. ${taken(result)}`;
}

const SECTIONS = [
  { file: "smollm2", title: "SmolLM2-135M in 160 MiB", command: "npm run results:smollm2", print: smollm2 },
  {
    file: "smollm2-full",
    title: "The same over the whole text",
    command: "npm run results:smollm2-full",
    print: smollm2,
  },
  {
    file: "rankings",
    title: "Which ranking of the blocks, at the same bytes",
    command: "npm run results:rankings",
    print: rankings,
    intro:
      "KL divergence from the checkpoint (nats a token) of plans by one allocator (lsaq: 16, 8 and 4 bits), which differ in the order of the blocks only.",
  },
  {
    file: "sweep",
    title: "Predicted and measured loss over ten budgets",
    command: "npm run results:sweep",
    print: sweep,
    intro:
      "From the smallest plan to 16 bits everywhere, for each scorer that predicts. `output-mse` predicts a sum of relative output errors, not nats: only the order can be compared.",
  },
  {
    file: "fused-twins",
    title: "Fused and unfused tensors",
    command: "npm run results:fused-twins",
    print: fusedTwins,
    intro:
      "The same weights in two layouts: q, k and v (and gate and up) in one tensor, or apart; compressed by GPTQ from a library with losses measured by matrix, exact allocation and the guard.",
  },
  {
    file: "native",
    title: "The native engine",
    command: "npm run results:native",
    print: (result) => `${nativeText(result)}\n\n${taken(result)}`,
    intro:
      "Codecs of the GGUF files' bits tensor by tensor (blocks q4s-g32 or q8s-g32, embedding and output head q8s-g32), int8 activations, keys and values in f16. Of the bandwidth: bytes of weights, keys and values that a token reads x tokens/s over what the same threads read of memory in the same run.",
  },
  {
    file: "quality",
    title: "Quality per byte",
    command: "npm run results:quality",
    print: async (result) => {
      writeFileSync("docs/results/quality.svg", await qualityPicture(result));
      return `${qualityText(result)}\n\n${taken(result)}`;
    },
    intro:
      "SmolLM2-135M by the protocol of `test/peers/baselines`: KL divergence from the original weights in f32 over llama.cpp's 10,200 scored tokens of wikitext-2, at no more bytes than its file's tensors (ours: whole weights files). Int8 activations and keys and values in f16, as `run` uses them; recipe `max-quality` with llama.cpp's calibration texts. The guard's figures are of 4,096 held-out calibration tokens.",
  },
  {
    file: "exits",
    title: "Early exits and DSSD",
    command: "npm run results:exits",
    print: async (result) => {
      for (const [name, { rows }] of Object.entries(result.accepted)) {
        writeFileSync(`docs/results/exits-${name}.svg`, await draftersPicture(rows));
      }
      return exitsText(result);
    },
    intro:
      "Three models packed by recipe `dssd` at 4 bits a weight, with three adapter exits each; their text, or the beginnings of what the model writes for them, is of the data folder (C4 and WikiText-like pages; TinyStories for the two story models). Fixed: one exit, a fixed number of drafts, the same heads. Waste: drafts that the full model did not take.",
  },
  {
    file: "pruning",
    title: "Pruning",
    command: "npm run results:pruning",
    print: pruningText,
    intro:
      "KL divergence from the checkpoint on windows of 512 tokens of wikitext-2, calibrated on two books, no tuning but where it says so. By a ratio (neurons 20 %, block 10 %; spread over the blocks as named): at 4 bits `q4s-g32`, nearest, embedding 8 bits. Joint plans: `prune.ratio: auto` beside the same recipe without pruning, GPTQ from a library, losses by KL divergence, at the same total bytes (KV cache of 2,048 tokens included); 2.5 bits is half-way between uniform 2 and 3.",
  },
  {
    file: "sparse",
    title: "Sparse codecs",
    command: "npm run results:sparse",
    print: sparseText,
    intro:
      "SmolLM2-135M with all blocks at one codec, embedding 8 bits, by GPTQ (for the sparse ones SparseGPT in the same pass), calibrated on 16,384 tokens of two books. KL divergence from the checkpoint on 16 windows of 512 tokens of wikitext-2. `n16`: 16 of every 32 columns of a row are stored, `2of4`: two of every four. Speeds after a prompt of 64 tokens, 2 threads.",
  },
  {
    file: "pruning-repairs",
    title: "What a block's last matrix makes up for",
    command: "npm run results:pruning-repairs",
    print: (result) => `${repairsText(result)}\n\n${taken(result)}`,
    intro:
      "KL divergence of SmolLM2-135M's output on 1,024 tokens of wikitext-2 with one block's attention, MLP or all of it left out, mean over every fifth block, by what the last matrix that is left (of a whole block: the one before it) makes up for on 8,192 tokens of two books.",
  },
  {
    file: "tuning",
    title: "Tuning a window of blocks",
    command: "npm run results:tuning",
    print: (result) => `${tuningText(result)}\n\n${taken(Object.values(result.cases).at(-1))}`,
    intro:
      "`layerwise tune` on artifacts of 4 bits (`q4s-g32`, embedding 8 bits), rank 8 beside all matrices, one sequence an iteration: windows of four blocks, the loss at their own ends, beside all blocks at once, by the same code, nothing recomputed unless it says so. Peak resident memory is that of the whole process while it tunes; process base and weights stand by themselves. Time an iteration is a mean over all windows, two in each, reading of blocks included. Perplexity is that of held-out sequences of the same text after equal wall time, the window being the last four blocks.",
  },
  {
    file: "voting",
    title: "Voting",
    command: "npm run results:voting",
    print: votingText,
    intro:
      "Exits of the model's own output head at the ends of the windows that `layerwise tune` learns in. Weights are fitted to a part of the text that is neither learned from nor evaluated. Errors are standard errors of each figure by itself.",
  },
  {
    file: "recipes",
    title: "What the recipes take",
    command: "npm run results:recipes",
    print: recipesText,
    intro: "Whole commands in fresh folders, on two cores: `layerwise compress` with a recipe that ships.",
  },
  {
    file: "ffn-down",
    title: "ffn_down beside K-quants",
    command: "npm run results:ffn-down",
    print: (result) => `${ffnDownText(result)}\n\n${taken(result)}`,
    intro:
      "The one matrix of SmolLM2-135M with a whole number of 256 columns, on which llama.cpp's K-quants apply, in all 30 blocks.",
  },
];

/** What must be in the data folder. */
function dataText() {
  const rows = dataList().map(({ file, bytes, sha256, what, licence, used }) => [
    ...[`\`${file}\``, bytes.toLocaleString("en"), `\`${sha256}\``, what, licence, used],
  ]);
  const intro =
    "Large texts and what cannot ship stay outside the project: `--data FOLDER` or `LAYERWISE_DATA` names their folder. `npm run results:data` says which files are there. SmolLM2-135M and Qwen2.5-Coder-0.5B are made by `npm run model:smollm2` and `npm run model:qwen05`.";
  return `## Data\n\n${intro}\n\n${table(["file", "bytes", "sha256", "what", "licence", "used by"], rows)}`;
}

const parts = [];
for (const { file, title, command, print, intro } of SECTIONS) {
  if (!existsSync(`docs/results/${file}.json`)) continue;
  const result = JSON.parse(readFileSync(`docs/results/${file}.json`, "utf8"));
  const head = `## ${title}\n\n\`${command}\`, measured document \`results/${file}.json\`.`;
  parts.push([head, ...(intro ? [intro] : []), await print(result)].join("\n\n"));
}
writeFileSync(
  "docs/results.md",
  `# Results\n\nPrinted by \`npm run results:print\` from the measured documents in \`results/\`.\n\n${[...parts, dataText()].join("\n\n")}\n`,
);
