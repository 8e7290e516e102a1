// npm run check:same -- OTHER_CHECKOUT [--smollm2=FOLDER] [--only=example,fast,lsaq,dssd,smollm2]: makes the same
// artifacts with this checkout and with another one (both built, native engine included), and compares sha256 of their
// files and 20 texts of each. What differs ends it with status 1.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const flag = (name) => process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
const other = process.argv.slice(2).find((arg) => !arg.startsWith("--"));
if (!other || !existsSync(path.join(other, "dist/cli/main.js"))) {
  process.stderr.write(
    `compare-checkouts: ${other ?? "no checkout named"}: expected a built checkout (npm run setup there)\n`,
  );
  process.exit(1);
}

const EXAMPLE = path.resolve("examples/stories260k");
const smollm2 = flag("smollm2");

/** Artifacts that are made by both: recipe, checkpoint, budget. */
const CASES = {
  example: { recipe: "example", checkpoint: EXAMPLE, budget: "4.65 MiB", context: 256 },
  fast: { recipe: "fast", checkpoint: EXAMPLE, budget: "4.55 MiB", context: 256 },
  lsaq: { recipe: "lsaq", checkpoint: EXAMPLE, budget: "4.65 MiB", context: 256 },
  dssd: { recipe: "dssd", checkpoint: EXAMPLE, budget: "5.5 MiB", context: 256 },
  smollm2: { recipe: "fast", checkpoint: smollm2, budget: "140 MiB", context: 2048 },
};

const PROMPTS = [
  ..."Once upon a time|The little dog|Lily and Tom|One day, a girl named|The sun was".split("|"),
  ..."There was a big|Mom said|In the forest|A cat and a bird|He wanted to".split("|"),
  ..."The capital of France is|Water boils at|def fibonacci(n):|The first president|In 1969".split("|"),
  ..."To make bread, you need|The square root of 144|Dear Sir or Madam,|Photosynthesis is|1, 1, 2, 3, 5,".split("|"),
];

const layerwise = (checkout, ...args) =>
  execFileSync(process.execPath, [path.resolve(checkout, "dist/cli/main.js"), ...args], {
    cwd: checkout,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
    maxBuffer: 2 ** 26,
  });

/** Name -> sha256 of an artifact's weights and exits; what a checkout made once, its run folder keeps. */
function make(checkout, name) {
  const { recipe, checkpoint, budget, context } = CASES[name];
  const out = path.resolve(checkout, "outputs/same", name);
  const wants = ["--recipe", recipe, "--budget", budget, "--context", String(context), "--out", out];
  layerwise(checkout, "compress", checkpoint, ...wants, "--json");
  const artifact = path.join(out, "artifact");
  const files = readdirSync(artifact).filter((file) => file.endsWith(".safetensors"));
  const hashes = Object.fromEntries(
    files.map((file) => [
      file,
      createHash("sha256")
        .update(readFileSync(path.join(artifact, file)))
        .digest("hex"),
    ]),
  );
  return { artifact, hashes };
}

/** The texts of all prompts, greedy; every artifact is run by its own checkout. */
const textsOf = (checkout, artifact) =>
  PROMPTS.map((prompt) => layerwise(checkout, "run", artifact, prompt, "--max-tokens", "48", "--temperature", "0"));

let different = 0;
const names = (flag("only") ?? "example,fast,lsaq,dssd,smollm2").split(",");
for (const name of names) {
  if (!CASES[name].checkpoint) {
    process.stdout.write(`${name}: skipped, no --smollm2=FOLDER\n`);
    continue;
  }
  const [theirs, ours] = [other, "."].map((checkout) => make(checkout, name));
  const files = [...new Set([...Object.keys(theirs.hashes), ...Object.keys(ours.hashes)])];
  for (const file of files) {
    const same = theirs.hashes[file] === ours.hashes[file];
    different += same ? 0 : 1;
    process.stdout.write(`${name}: ${file} ${same ? "same" : "DIFFERS"} ${ours.hashes[file]?.slice(0, 16)}\n`);
  }
  const [a, b] = [textsOf(other, theirs.artifact), textsOf(".", ours.artifact)];
  const equal = a.filter((text, i) => text === b[i]).length;
  different += PROMPTS.length - equal;
  process.stdout.write(`${name}: ${equal} of ${PROMPTS.length} texts same\n`);
}
process.exit(different === 0 ? 0 : 1);
