// npm run quickstart: sets up, compresses the example checkpoint to a budget, writes text with the artifact, compares
// it with its checkpoint on held-out text, and prints the benchmark. What is already done is skipped.
import { spawnSync } from "node:child_process";
import { existsSync, rmSync } from "node:fs";

const CHECKPOINT = "examples/stories260k";
const OUT = "outputs/quickstart";
const ARTIFACT = `${OUT}/artifact`;
const HELD_OUT = "calibration-data/tinystories-heldout.txt";

/** Runs a command with its output shown; on failure ends this one with the same status. */
function must(command, args) {
  const { status, error } = spawnSync(command, args, { stdio: "inherit" });
  if (error || status !== 0) {
    process.stderr.write(`quickstart: ${[command, ...args].join(" ")} failed${error ? `: ${error.message}` : ""}\n`);
    process.exit(status || 1);
  }
}

/** A layerwise command, shown as the user would type it. */
function layerwise(...args) {
  const shown = args.map((arg) => (/[\s"]/.test(arg) ? `"${arg}"` : arg)).join(" ");
  process.stdout.write(`\n$ layerwise ${shown}\n`);
  must(process.execPath, ["dist/cli/main.js", ...args]);
}

/** The JSON document of a layerwise command. */
function layerwiseJson(...args) {
  const { status, stdout } = spawnSync(process.execPath, ["dist/cli/main.js", ...args, "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  if (status !== 0) process.exit(status || 1);
  return JSON.parse(stdout);
}

must(process.execPath, ["scripts/setup.mjs"]);
if (existsSync(OUT) && !existsSync(ARTIFACT)) rmSync(OUT, { recursive: true });
layerwise("compress", CHECKPOINT, "--budget", "4.65 MiB", "--context", "256", "--recipe", "example", "--out", OUT);
layerwise("run", ARTIFACT, "Once upon a time", "--max-tokens", "80");

const evaluation = ["--text", HELD_OUT, "--window", "256", "--windows", "40"];
layerwise("eval", ARTIFACT, ...evaluation, "--reference", CHECKPOINT);
layerwise("bench", ARTIFACT);

const { model, reference } = layerwiseJson("eval", ARTIFACT, ...evaluation, "--reference", CHECKPOINT).result;
const change = 100 * (model.perplexity / reference.perplexity - 1);
const figures = `checkpoint ${reference.perplexity.toFixed(3)}, artifact ${model.perplexity.toFixed(3)}`;
process.stdout.write(`\nheld-out perplexity: ${figures} (${change >= 0 ? "+" : ""}${change.toFixed(2)} %)\n`);
