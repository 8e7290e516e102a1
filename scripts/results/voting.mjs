// npm run results:voting [SMOLLM2_FOLDER] [--qwen=FOLDER] [--only=stories260k,smollm2] [--state=before,…]: what exits
// and the output head say together, beside the output head alone: perplexity of a text's end and two zero-shot tasks,
// before and after `layerwise tune` on its beginning, with the loss at windows' ends or after the last block. Exits are
// the ends of the windows that are tuned; weights of a vote are fitted to a part of the text that is neither learned
// from nor evaluated. Every state is saved when it is done.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { flag, layerwise, note, save, smollm2Folder, stamp } from "./common.mjs";
import { dataFile } from "./data.mjs";
import { votingText } from "./voting-text.mjs";

const OUT = "outputs/results/voting";
const FILE = "docs/results/voting.json";
const TASKS = ["piqa", "lambada"];
const LIMIT = 200;
const WINDOWS = 16;
/** Blocks of a window, so that each model has some exits; the text that it is tuned to and evaluated on, in parts. */
const SUBJECTS = {
  stories260k: { folder: () => "examples/stories260k", blocks: 5, window: 1, steps: 400, text: storyParts },
  smollm2: { folder: smollm2Folder, blocks: 30, window: 6, steps: 60, text: bookParts },
  qwen: { folder: () => flag("qwen"), blocks: 24, window: 6, steps: 60, text: bookParts },
};

/** Tuned where: nowhere, at each window's own end, or after the last block. */
const STATES = { before: null, "at windows' ends": "window", "after the last block": "last" };
const states = flag("state")?.split(",") ?? Object.keys(STATES);
const tasksFolder = dataFile("eval/piqa.jsonl").replace(/piqa\.jsonl$/, "");

/** Parts of a text by their bounds, each in a file. */
function partsOf(name, text, bounds) {
  mkdirSync(OUT, { recursive: true });
  return Object.fromEntries(
    Object.entries(bounds).map(([part, [from, to]]) => {
      const file = `${OUT}/${name}-${part}.txt`;
      writeFileSync(file, text.slice(from, to));
      return [part, file];
    }),
  );
}

/** The first of the file's books, short of its index: to learn from, to look at, to fit weights to, to evaluate. */
function bookParts() {
  const text = readFileSync(dataFile("corpora/darwin.txt"), "utf8");
  const at = (share) => text.indexOf("\n", Math.floor(share * text.length));
  const [fit, test, end] = [at(0.2), at(0.22), at(0.25)];
  return partsOf("book", text, { train: [0, fit], look: [fit, fit + 8000], fit: [fit, test], test: [test, end] });
}

/** The stories that ship: those for calibration to learn from, of those held out the first half to fit weights to. */
function storyParts() {
  const text = readFileSync("calibration-data/tinystories-heldout.txt", "utf8");
  const half = text.indexOf("\n", text.length / 2);
  const parts = partsOf("stories", text, { look: [0, 8000], fit: [0, half], test: [half, text.length] });
  return { ...parts, train: "calibration-data/tinystories-calibration.txt" };
}

/** Ends of the windows below the last block: what votes beside the output head. */
function exitsOf({ blocks, window }) {
  return Array.from({ length: Math.ceil(blocks / window) - 1 }, (_, i) => window * (i + 1));
}

async function tuned(name, folder, { window, steps }, book, exit) {
  const out = `${OUT}/${name}-${exit}`;
  const { document, seconds } = await layerwise(
    ...["tune", folder, "--data", book.train, "--held-out-file", book.look, "--window", String(window)],
    ...["--steps", String(steps), "--exit", exit, "--accumulate", "1", "--sequence", "256", "--out", out],
  );
  return { adapter: document.adapter, losses: document.losses, seconds };
}

/** Figures of one way to answer, as `eval` gives them. */
async function measured(folder, book, how) {
  const { document } = await layerwise(
    ...["eval", folder, "--text", book.test, "--window", "512", "--windows", String(WINDOWS), ...how],
    ...["--tasks", TASKS.join(","), "--tasks-folder", tasksFolder, "--limit", String(LIMIT)],
  );
  const { result, zeroShot, decoding } = document;
  const { perplexity, perplexityError } = result.model;
  return { decoding, perplexity, perplexityError, scoredTokens: result.scoredTokens, tasks: zeroShot.tasks };
}

const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : { subjects: {} };
const chosen = flag("only")?.split(",") ?? ["smollm2"];
for (const name of chosen) {
  const subject = SUBJECTS[name];
  const folder = subject.folder();
  const book = subject.text();
  const at = ["--exits-at", exitsOf(subject).join(",")];
  for (const state of states) {
    const tuning = STATES[state] ? await tuned(name, folder, subject, book, STATES[state]) : null;
    const adapted = tuning ? ["--adapter", tuning.adapter] : [];
    const rules = {};
    for (const [rule, how] of Object.entries({
      plain: [],
      max: [...at, "--vote", "max"],
      weighted: [...at, "--vote-text", book.fit],
    })) {
      note(`${name} ${state} ${rule}`);
      rules[rule] = await measured(folder, book, [...adapted, ...how]);
    }
    result.subjects[name] = { ...result.subjects[name], [state]: { tuning, rules, ...stamp() } };
    save("voting", result);
  }
}

process.stdout.write(`${votingText(result)}\n`);
