// npm run results:pruning-repairs [CHECKPOINT] [--every=5]: what a block's last matrix can make up for, when an
// attention, an MLP or a whole block is left out: KL divergence of the model's output on text that no repair has seen,
// with nothing repaired, with the outputs that are left scaled channel by channel, and with least squares. Repaired by
// 8,192 tokens of two books, measured on 1,024 of wikitext-2, one block left out at a time.
import { readFileSync } from "node:fs";
import { openStatisticsDescent } from "../../dist/calibration/statistics.js";
import { loadTokenizer, createExecutor as open, openCheckpoint, openMaths } from "../../dist/compress-entry.js";
import { idOf } from "../../dist/model/matrix-id.js";
import { denseMatrix } from "../../dist/model/weight-source.js";
import { BlockPruner } from "../../dist/pruning/block-pruner.js";
import { UNCUT } from "../../dist/pruning/cut.js";
import { PRUNING_KINDS } from "../../dist/pruning/index.js";
import { OutputDivergence } from "../../dist/pruning/output-divergence.js";
import { flag, save, smollm2Folder, stamp, table } from "./common.mjs";
import { dataFile } from "./data.mjs";

const SEQUENCE = 512;
const BOOKS = ["pride-and-prejudice.txt", "origin-of-species.txt"];
const KINDS = ["attention", "mlp", "block"];
const REPAIRS = ["nothing", "a scale a channel", "least squares"];

const folder = smollm2Folder();
const every = Number(flag("every") ?? 5);
const source = await openCheckpoint(folder);
const { spec } = source;
const tokenizer = await loadTokenizer(folder, { spec });
const maths = await openMaths({ threads: 2 });
const createExecutor = (weights) => open(weights, { executor: "native", residency: "streamed", activations: "f32" });

/** Some sequences from the middle of a text. */
function sequencesOf(file, count) {
  const text = readFileSync(file, "utf8");
  const middle = Math.floor(text.length / 2);
  const ids = tokenizer.encode(text.slice(middle, middle + 8 * SEQUENCE * count), { specialTokens: false });
  return Array.from({ length: count }, (_, i) => ids.slice(i * SEQUENCE, (i + 1) * SEQUENCE));
}

const sequences = BOOKS.flatMap((name) => sequencesOf(`calibration-data/${name}`, 8));
const measured = sequencesOf(dataFile("corpora/wikitext-2/wiki.test.raw"), 2);
const work = { source, sequences, createExecutor, maths };
const repairs = await openStatisticsDescent(work);
const tried = await openStatisticsDescent({ ...work, sequences: measured });
const pruner = new BlockPruner(work);
const executor = await createExecutor(source);
const divergence = new OutputDivergence(executor);
await divergence.open(tried.states);

const without = (kind) => ({ cut: PRUNING_KINDS[kind].cutOf([]), repaired: new Map() });

/**
 * A block whose last matrix has its rows scaled so that its outputs come nearest to what is wanted; `rest`: the block
 * without that matrix's half.
 */
async function scaled({ at, pruned, rest, role, leftOut, given }) {
  const [found, bare] = [await pruner.run(at, pruned, given), await pruner.run(at, rest, given)];
  const wanted = await pruner.runWhole(given, [at, at + leftOut + 1]);
  const sums = [new Float64Array(spec.hiddenSize), new Float64Array(spec.hiddenSize)];
  for (const [i, { hidden }] of found.entries()) {
    for (let k = 0; k < hidden.length; k++) {
      const own = hidden[k] - bare[i].hidden[k];
      sums[0][k % spec.hiddenSize] += own * own;
      sums[1][k % spec.hiddenSize] += own * (wanted[i].hidden[k] - hidden[k]);
    }
  }
  const { rows, cols, data } = denseMatrix(await source.readMatrix(idOf(at, role)));
  const factors = sums[0].map((own, row) => 1 + sums[1][row] / own);
  const values = data.map((value, i) => value * factors[Math.floor(i / cols)]);
  return { cut: pruned.cut, repaired: new Map([[role, { kind: "dense", rows, cols, data: values }]]) };
}

const found = [];
let earlier = null;
for (let block = 0; block < spec.blocks.length; block++) {
  if (block % every === every - 1) {
    for (const kind of KINDS) {
      const isWhole = kind === "block";
      const leftOut = isWhole ? 1 : 0;
      const place = isWhole ? earlier : { repairs: repairs.states, tried: tried.states };
      const at = block - leftOut;
      const inputs = { states: async () => place.repairs, statistics: () => repairs.collect() };
      const stretch = { block: at, kind: isWhole ? null : PRUNING_KINDS[kind], counts: [0], leftOut };
      const ways = [isWhole ? { cut: UNCUT, repaired: new Map() } : without(kind)];
      const role = kind === "mlp" ? "attn.o" : "mlp.down";
      const rest = isWhole ? without("mlp") : without("block");
      ways.push(await scaled({ at, pruned: ways[0], rest, role, leftOut, given: place.repairs }));
      for await (const one of pruner.prune(stretch, inputs)) ways.push(one);
      const states = [];
      for (const way of ways) states.push(await pruner.run(at, way, place.tried));
      found.push({ block, kind, divergences: await divergence.of(block + 1, states) });
      process.stderr.write(
        `block ${block}, ${kind}: ${found
          .at(-1)
          .divergences.map((x) => x.toFixed(4))
          .join(", ")}\n`,
      );
    }
  }
  earlier = { repairs: repairs.states, tried: tried.states };
  await repairs.advance();
  await tried.advance();
}
save("pruning-repairs", { repairs: REPAIRS, found, ...stamp() });
const mean = (kind, i) => {
  const own = found.filter((one) => one.kind === kind).map(({ divergences }) => divergences[i]);
  return (own.reduce((sum, one) => sum + one, 0) / own.length).toFixed(4);
};
process.stdout.write(
  `${table(
    ["left out", ...REPAIRS],
    KINDS.map((kind) => [kind, ...REPAIRS.map((_, i) => mean(kind, i))]),
  )}\n`,
);
process.exit(0);
