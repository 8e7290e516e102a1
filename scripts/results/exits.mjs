// npm run results:exits [SMOLLM2_FOLDER] [--only=lossless,tfjs,levels,depth,accepted,speed,training,resume]
// [--models=smollm2,neox,example]: early exits and DSSD on three models packed at 4 bits. Two hours, most of it
// SmolLM2's texts and the training of its heads; alone on the machine for `speed` and `training`. Every part is saved
// when it is done.
import { spawn } from "node:child_process";
import { cpSync, existsSync, readFileSync, rmSync } from "node:fs";
import { flag, layerwise, note, progressLine, save, stamp } from "./common.mjs";
import { artifactOf, OUT, promptFile, SUBJECTS, trainedAfresh } from "./exits-subjects.mjs";

const THREADS = 2;
/** Levels at which texts are compared: a loose one, the default, a strict one. */
const LOSSLESS_EPSILONS = [0.6, 0.8, 0.95];
const DRAFT_LIMIT = 8;
/** How often a training is killed. */
const KILLS = 4;

const dist = (file) => import(`../../dist/${file}.js`);

/** A model with its exits open, and prompts as ids; `use` gets them. */
async function withModel(name, { executor, count }, use) {
  const [{ openModel }, { exitSetOf }, { readPrompts }] = await Promise.all([
    dist("decoding/open-model"),
    dist("decoding/exits/exit-set"),
    dist("bench/drafters/prompts"),
  ]);
  const prompts = promptFile(name, count);
  const model = await openModel(await artifactOf(name), { executor, threads: THREADS });
  try {
    const { table, ids } = await model.loadExits();
    const found = await readPrompts(model.tokenizer, { file: prompts.file, count, maxTokens: prompts.tokens });
    return await use({ model, exits: exitSetOf(table, ids), prompts: { what: prompts.what, ids: found.ids } });
  } finally {
    await model.close();
  }
}

/** Texts of DSSD at three levels beside plain decoding's. */
async function compareTexts(name, { executor, count, generateTokens }) {
  const [{ checkLossless }, { drafterSetups }] = await Promise.all([
    dist("bench/drafters/lossless"),
    dist("bench/drafters/setups"),
  ]);
  return withModel(name, { executor, count }, async ({ model, exits, prompts }) => {
    const sweep = { draftLengths: [], epsilons: LOSSLESS_EPSILONS, draftLimits: [DRAFT_LIMIT] };
    const setups = (await drafterSetups(exits, model.executor.spec, sweep)).filter(({ kind }) => kind === "dssd");
    const checks = await checkLossless(model, setups, {
      ...{ prompts: prompts.ids, generateTokens, ignoreEos: true, onProgress: progressLine() },
    });
    const rows = checks.map(({ setup, ...check }) => ({ name: setup.name, epsilon: setup.epsilon, ...check }));
    return { executor: model.executor.info, prompts: prompts.what, count, generateTokens, rows };
  });
}

/** What the manifest says of heads and levels. */
async function levels(name) {
  const { readManifest } = await dist("artifact/reader");
  const { exits, spec } = await readManifest(await artifactOf(name));
  return { blocks: spec.blocks.length, table: exits };
}

/** How often the logit lens after each block has the whole model's answer: what heads at each depth start from. */
async function depth(name) {
  const { lensAgreement } = await dist("exits/points");
  return withModel(name, { executor: "native", count: 32 }, async ({ model, prompts }) => {
    const agreement = await lensAgreement(model.executor, prompts.ids, { onProgress: progressLine() });
    const tokens = prompts.ids.reduce((sum, { length }) => sum + length, 0);
    return { prompts: prompts.what, tokens, agreement };
  });
}

/** `layerwise bench --drafters` on a subject. */
async function bench(name, { count, generateTokens }, flags) {
  const prompts = promptFile(name, count);
  const { document } = await layerwise(
    ...["bench", await artifactOf(name), "--drafters", "--prompts", prompts.file, "--prompt-count", String(count)],
    ...["--prompt-tokens", String(prompts.tokens), "--generate-tokens", String(generateTokens)],
    ...["--executor", "native", "--threads", String(THREADS), "--repeats", "11", ...flags],
  );
  const { rows, comparisons, perfect, costs, exits, blocks } = document.drafters;
  return { prompts: prompts.what, count, generateTokens, rows, comparisons, perfect, costs, exits, blocks };
}

const accepted = (name) => bench(name, { count: 16, generateTokens: 64 }, ["--csv", `docs/results/exits-${name}.csv`]);

const SPEED = ["--draft-lengths", "none", "--draft-limits", "4,8", "--epsilons", "0.6,0.7,0.8,0.9,0.95"];
const speed = (name) => bench(name, { count: 50, generateTokens: 128 }, SPEED);

/** A copy of the artifact, and the command that trains its exits anew in a folder of its own. */
async function trainingCopy(name, label, flags = []) {
  const [artifact, work] = [`${OUT}/${name}-${label}`, `${OUT}/${name}-${label}-work`];
  for (const folder of [artifact, work]) rmSync(folder, { recursive: true, force: true });
  cpSync(await artifactOf(name), artifact, { recursive: true });
  const source = ["--text", ...SUBJECTS[name].texts()];
  return { artifact, command: ["exits", artifact, "--work", work, "--threads", String(THREADS), ...source, ...flags] };
}

/** Time and memory of writing text, states, training and thresholds alone, and what exits add to the artifact. */
async function training(name) {
  const { artifact, seconds: steps, peakRssBytes } = await trainedAfresh(name);
  const seconds = Object.values(steps).reduce((sum, one) => sum + one, 0);
  const [{ readManifest }, { memoryOfExits }] = await Promise.all([
    dist("artifact/reader"),
    dist("artifact/add-exits"),
  ]);
  const manifest = await readManifest(artifact);
  const totalOf = (exits) => memoryOfExits(manifest, exits).totalBytes;
  const fileBytes = manifest.files.find(({ name: file }) => file === "exits.safetensors").bytes;
  const artifactBytes = manifest.files.reduce((sum, { bytes }) => sum + bytes, 0) - fileBytes;
  const addedBytes = totalOf(manifest.exits) - totalOf(null);
  const { tokens, text } = manifest.exits.training;
  return { seconds, steps, peakRssBytes, tokens, data: text?.data ?? null, fileBytes, addedBytes, artifactBytes };
}

/** Runs a command and kills it after so many milliseconds, unless it has ended. */
function killedAfter(command, ms) {
  const child = spawn(process.execPath, ["dist/cli/main.js", ...command], { stdio: ["ignore", "ignore", "inherit"] });
  const timer = setTimeout(() => child.kill("SIGKILL"), ms);
  return new Promise((resolve) =>
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve({ code, killed: signal === "SIGKILL" });
    }),
  );
}

/** Training that is killed at drawn moments and goes on, beside one that is left alone. */
async function resume(name) {
  const [{ hashFile }, { Random }, { readManifest }] = await Promise.all([
    ...[dist("artifact/content-hash"), dist("tensor/random"), dist("artifact/reader")],
  ]);
  const random = new Random(0).fork(name);
  const { resumeTokens } = SUBJECTS[name];
  const less = resumeTokens ? ["--tokens", String(resumeTokens)] : [];
  const whole = await trainingCopy(name, "undisturbed", less);
  const { seconds } = await layerwise(...whole.command);
  const { artifact, command } = await trainingCopy(name, "killed", less);
  const moments = [];
  for (let i = 0; i < KILLS; i++) {
    const ms = Math.round(1000 * seconds * (0.05 + (0.6 * random.next() * (i + 1)) / KILLS));
    const { killed, code } = await killedAfter(command, ms);
    note(`${name}: after ${ms} ms ${killed ? "killed" : `ended with ${code}`}`);
    if (killed) moments.push(ms / 1000);
  }
  const last = await killedAfter(command, 2 ** 30);
  if (last.code !== 0) throw new Error(`${name}: the last run ended with ${last.code}`);
  const hashes = async (folder) => {
    const files = ["exits.safetensors", "manifest.json"];
    return Object.fromEntries(
      await Promise.all(files.map(async (file) => [file, (await hashFile(`${folder}/${file}`)).sha256])),
    );
  };
  const [expected, found] = [await hashes(whole.artifact), await hashes(artifact)];
  const same = Object.keys(expected).every((file) => expected[file] === found[file]);
  const { tokens } = (await readManifest(whole.artifact)).exits.training;
  return { tokens, undisturbedSeconds: seconds, killedAfterSeconds: moments, same, expected, found };
}

const PARTS = {
  lossless: (name) => compareTexts(name, { executor: "native", count: 200, generateTokens: 128 }),
  tfjs: (name) => compareTexts(name, { executor: "tfjs", count: name === "smollm2" ? 4 : 10, generateTokens: 24 }),
  ...{ levels, depth, accepted, speed, training, resume },
};

const FILE = "docs/results/exits.json";
const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : {};
for (const part of flag("only")?.split(",") ?? Object.keys(PARTS)) {
  for (const name of flag("models")?.split(",") ?? Object.keys(SUBJECTS)) {
    note(`${part}: ${name}`);
    result[part] = { ...result[part], [name]: { ...(await PARTS[part](name)), ...stamp() } };
    save("exits", result);
  }
}
