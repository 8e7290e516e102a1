// The models that early exits are measured on: packed by recipe dssd at 4 bits a weight, exits trained; and their
// prompts.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import YAML from "yaml";
import { layerwise, smollm2Folder } from "./common.mjs";
import { dataFile } from "./data.mjs";

export const OUT = "outputs/results/exits";
/** Of the recipe's codecs: all subjects are 4-bit models. */
const CODEC = "q4t-g32-s8";
/** Tokens of the calibration, of all files together. */
const CALIBRATION_TOKENS = 32_768;
/**
 * More text than ships: exits learn on it, or on what the model writes after its beginnings. No prompt is taken from
 * it.
 */
const general = () => ["c4", "wiki"].map((text) => dataFile(`corpora/calibration/${text}.utf8`));
const stories = () => [dataFile("corpora/tinystories/tinystories_train_944k.txt")];

const novels = { file: "eval/lambada_test.jsonl", what: "LAMBADA passages", tokens: 64 };
const tales = {
  file: "corpora/tinystories/tinystories_val_794k.txt",
  what: "TinyStories validation paragraphs",
  tokens: 32,
};

export const SUBJECTS = {
  smollm2: {
    checkpoint: smollm2Folder,
    // Trained three times over where it is killed and run again: on fewer tokens there.
    ...{ context: 2048, sequenceTokens: null, prompts: novels, texts: general, resumeTokens: 40_000 },
  },
  neox: {
    checkpoint: () => "test/fixtures/models/neox-tiny",
    ...{ context: 256, sequenceTokens: 128, prompts: tales, texts: stories },
  },
  example: {
    checkpoint: () => "examples/stories260k",
    ...{ context: 256, sequenceTokens: 128, prompts: tales, texts: stories },
  },
};

/** Recipe dssd with one codec, and the subject's text. */
function recipeFile(name, { texts, sequenceTokens }) {
  const recipe = YAML.parse(readFileSync("pipelines/dssd.yaml", "utf8"));
  const files = texts();
  const tokens = CALIBRATION_TOKENS / files.length;
  const calibration = {
    ...recipe.calibration,
    ...(sequenceTokens === null ? {} : { sequenceTokens }),
    // Paths of a recipe are taken from its own folder.
    sources: files.map((text) => ({ path: path.resolve(text), tokens })),
  };
  const file = `${OUT}/${name}.yaml`;
  mkdirSync(OUT, { recursive: true });
  writeFileSync(file, YAML.stringify({ ...recipe, name, calibration, plan: { ...recipe.plan, codecs: [CODEC] } }));
  return file;
}

/** Packs a subject and trains its exits; what an earlier run has made is found. */
async function compressed(name) {
  const subject = SUBJECTS[name];
  const run = await layerwise(
    ...["compress", subject.checkpoint(), "--recipe", recipeFile(name, subject), "--budget", "4 GiB"],
    ...["--context", String(subject.context), "--out", `${OUT}/${name}`],
  );
  return run;
}

/** The artifact of a subject. */
export async function artifactOf(name) {
  return (await compressed(name)).document.artifact;
}

/** The same with all that concerns its exits made anew, and how long each step of that took. */
export async function trainedAfresh(name) {
  // The trunk is not part of what is measured.
  if (!existsSync(`${OUT}/${name}/artifact.json`)) await compressed(name);
  for (const made of ["exit-text.json", "exits.json", "exit-states"]) {
    rmSync(`${OUT}/${name}/${made}`, { recursive: true, force: true });
  }
  const { document, peakRssBytes } = await compressed(name);
  const steps = document.steps.filter(({ name: step }) => step.startsWith("exit"));
  const seconds = Object.fromEntries(steps.map(({ name: step, elapsedMs }) => [step, elapsedMs / 1000]));
  return { artifact: document.artifact, seconds, peakRssBytes };
}

/** A file of so many prompts, evenly over the subject's text. */
export function promptFile(name, count) {
  const { file, what, tokens } = SUBJECTS[name].prompts;
  const lines = readFileSync(dataFile(file), "utf8").split("\n");
  const texts = file.endsWith(".jsonl")
    ? lines.filter(Boolean).map((line) => JSON.parse(line).text)
    : lines.filter((line) => line.length > 120);
  const chosen = Array.from({ length: count }, (_, i) => texts[Math.floor(((i + 0.5) * texts.length) / count)]);
  const made = `${OUT}/prompts-${name}-${count}.jsonl`;
  mkdirSync(OUT, { recursive: true });
  writeFileSync(made, chosen.map((prompt) => `${JSON.stringify({ prompt })}\n`).join(""));
  return { file: made, what, count, tokens };
}
