// npm run bench:checkouts -- OTHER_CHECKOUT ARTIFACT [--rounds=8] [--isa=avx2]: `layerwise bench` of this checkout
// and of another one on the same artifact, in turns, one and two threads; prints the ratio of each pair (above 1: this
// one is faster).
import { execFileSync } from "node:child_process";
import path from "node:path";
import { stamp } from "./results/common.mjs";

const flag = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const [other, artifact] = process.argv.slice(2).filter((arg) => !arg.startsWith("--"));
if (!artifact) {
  process.stderr.write("compare-speed: expected another built checkout and an artifact that both can open\n");
  process.exit(1);
}
const rounds = Number(flag("rounds") ?? 8);
const isa = flag("isa") ? ["--isa", flag("isa")] : [];

/** Tokens/s of one run of the benchmark: median of three. */
function measure(checkout, threads) {
  const main = path.resolve(checkout, "dist/cli/main.js");
  const wants = ["--threads", String(threads), ...isa, "--repeats", "3", "--generate-tokens", "96", "--json"];
  const text = execFileSync(process.execPath, [main, "bench", path.resolve(artifact), ...wants], { encoding: "utf8" });
  const [{ generateTokensPerSecond, promptTokensPerSecond, executor }] = JSON.parse(text).results;
  return { isa: executor.isa, generation: generateTokensPerSecond.median, prompt: promptTokensPerSecond.median };
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

for (const threads of [1, 2]) {
  const pairs = Array.from({ length: rounds }, (_, round) => {
    const order = round % 2 ? [other, "."] : [".", other];
    const found = Object.fromEntries(order.map((checkout) => [checkout, measure(checkout, threads)]));
    return { ours: found["."], theirs: found[other] };
  });
  for (const what of ["generation", "prompt"]) {
    const ratios = pairs.map(({ ours, theirs }) => ours[what] / theirs[what]);
    const range = [Math.min(...ratios), median(ratios), Math.max(...ratios)].map((ratio) => ratio.toFixed(3));
    process.stdout.write(`${pairs[0].ours.isa}, ${threads} threads, ${what}: ratio ${range.join(" … ")}\n`);
  }
}
const { date, commit, machine } = stamp();
process.stdout.write(`min … median … max of ${rounds} pairs; ${machine}, ${date}, ${commit}\n`);
