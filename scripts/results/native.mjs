// npm run results:native [SMOLLM2_FOLDER] [--turns=N] [--only=PART,…]: the native engine beside llama.cpp and beside
// what memory allows. Some twenty minutes; run it alone on the machine. --only measures some parts anew: comparison,
// shapes, memory, contexts, passes.
import { existsSync, readFileSync } from "node:fs";
import { comparePeers, comparisonText } from "../../test/peers/bench-peers.mjs";
import { SUBJECTS } from "../../test/peers/subjects.mjs";
import { flag, layerwise, note, save, stamp } from "./common.mjs";

const THREADS = [1, 2];
const ROWS = "1,2,3,4,6,8,16";
const LONG_CONTEXT = 8192;

/** One model by `layerwise bench` on the native executor. */
async function bench(model, threads, flags) {
  note(`${model}, threads ${threads}: ${flags.join(" ")}`);
  const { document } = await layerwise(
    "bench",
    ...model,
    "--executor",
    "native",
    "--threads",
    String(threads),
    ...flags,
  );
  return document.results[0];
}

/** Peak memory while generating, and the time from opening to a first token. */
async function memoryAndOpening(title, { artifact }) {
  const threads = Math.max(...THREADS);
  const result = await bench([artifact], threads, ["--generate-tokens", "128", "--repeats", "5", "--opening"]);
  const { weightBytes, kvBytes, peakRssBytes, openingMs, coldFirstTokenMs } = result;
  const overBytes = peakRssBytes - weightBytes - kvBytes;
  return { name: title, threads, weightBytes, kvBytes, peakRssBytes, overBytes, openingMs, coldFirstTokenMs };
}

async function longContext(title, { artifact }, threads) {
  const flags = ["--context", String(LONG_CONTEXT), "--generate-tokens", "32", "--repeats", "5"];
  const { longContext: speed, bandwidth } = await bench([artifact], threads, flags);
  return { name: title, threads, bytesPerSecond: bandwidth.bytesPerSecond, ...speed };
}

async function smallPasses(title, { artifact }, threads) {
  const flags = ["--rows", ROWS, "--repeats", "21", "--generate-tokens", "2"];
  return { name: title, threads, ...(await bench([artifact], threads, flags)).passes };
}

/** A shape alone, on random weights. */
async function shapeOnly(shape, threads) {
  const result = await bench(["--synthetic", shape], threads, ["--generate-tokens", "65", "--repeats", "5"]);
  const { promptTokensPerSecond, generateTokensPerSecond, bandwidth, weightBytes, peakRssBytes } = result;
  return { name: shape, threads, promptTokensPerSecond, generateTokensPerSecond, bandwidth, weightBytes, peakRssBytes };
}

const smollm2 = [];
for (const [name, { title, make }] of Object.entries(SUBJECTS)) {
  if (name.startsWith("smollm2")) smollm2.push({ title, subject: await make() });
}

/** A measurement for both files of SmolLM2 on every number of threads. */
async function each(measure) {
  const all = [];
  for (const { title, subject } of smollm2)
    for (const threads of THREADS) all.push(await measure(title, subject, threads));
  return all;
}

const PARTS = {
  comparison: () => comparePeers({ turns: Number(flag("turns") ?? 5) }),
  async shapes() {
    const all = [];
    for (const shape of ["llama-1.1b", "llama-3.2-1b"])
      for (const threads of THREADS) all.push(await shapeOnly(shape, threads));
    return all;
  },
  async memory() {
    const all = [];
    for (const { title, subject } of smollm2) all.push(await memoryAndOpening(title, subject));
    return all;
  },
  contexts: () => each(longContext),
  passes: () => each(smallPasses),
};

// Every part is saved when it is done, with the machine, date and commit that it was measured on.
const FILE = "docs/results/native.json";
const document = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : {};
for (const name of flag("only")?.split(",") ?? Object.keys(PARTS)) {
  document[name] = await PARTS[name]();
  document.stamps = { ...document.stamps, [name]: stamp() };
  save("native", { ...document, ...stamp() });
}
if (document.comparison) console.log(comparisonText(document.comparison));
