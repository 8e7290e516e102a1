// npm run results:voting [SMOLLM2_FOLDER] [--qwen=FOLDER] [--only=smollm2] [--state=before,after]: what exits and the
// output head say together, beside the output head alone: perplexity of the end of a book and two zero-shot tasks,
// before and after `layerwise tune` on the book's beginning. Exits are the ends of the windows that are tuned; the
// weights of a vote are fitted to a part of the book that is neither learned from nor evaluated. Every state is saved
// when it is done.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { flag, layerwise, save, smollm2Folder, stamp } from "./common.mjs";
import { dataFile } from "./data.mjs";
import { votingText } from "./voting-text.mjs";

const OUT = "outputs/results/voting";
const FILE = "docs/results/voting.json";
const TASKS = ["piqa", "lambada"];
const LIMIT = 200;
const WINDOWS = 16;
const STEPS = 60;
/** Blocks of a window, so that each model has four or five exits. */
const SUBJECTS = {
  smollm2: { folder: smollm2Folder, blocks: 30, window: 6 },
  qwen: { folder: () => flag("qwen"), blocks: 24, window: 6 },
};

const note = (line) => process.stderr.write(`${line}\n`);
const states = flag("state")?.split(",") ?? ["before", "after"];
const tasksFolder = dataFile("eval/piqa.jsonl").replace(/piqa\.jsonl$/, "");

/** The first of the file's books, short of its index, in three: to learn from, to fit weights to, to evaluate. */
function bookParts() {
  mkdirSync(OUT, { recursive: true });
  const text = readFileSync(dataFile("corpora/darwin.txt"), "utf8");
  const at = (share) => text.indexOf("\n", Math.floor(share * text.length));
  const bounds = { train: [0, at(0.2)], fit: [at(0.2), at(0.22)], test: [at(0.22), at(0.25)] };
  bounds.look = [bounds.fit[0], bounds.fit[0] + 8000];
  return Object.fromEntries(
    Object.entries(bounds).map(([name, [from, to]]) => {
      const file = `${OUT}/book-${name}.txt`;
      writeFileSync(file, text.slice(from, to));
      return [name, file];
    }),
  );
}

/** Ends of the windows below the last block: what votes beside the output head. */
function exitsOf({ blocks, window }) {
  return Array.from({ length: Math.ceil(blocks / window) - 1 }, (_, i) => window * (i + 1));
}

async function tuned(name, folder, { window }, book) {
  const out = `${OUT}/${name}-tuned`;
  const { document, seconds } = await layerwise(
    ...["tune", folder, "--data", book.train, "--held-out-file", book.look, "--window", String(window)],
    ...["--steps", String(STEPS), "--accumulate", "1", "--rate", "1e-3", "--sequence", "256", "--out", out],
  );
  if (document.error) throw new Error(`${name}: ${JSON.stringify(document.error)}`);
  return { adapter: document.adapter, losses: document.losses, seconds };
}

/** Figures of one way to answer, as `eval` gives them. */
async function measured(folder, book, how) {
  const { document } = await layerwise(
    ...["eval", folder, "--text", book.test, "--window", "512", "--windows", String(WINDOWS), ...how],
    ...["--tasks", TASKS.join(","), "--tasks-folder", tasksFolder, "--limit", String(LIMIT)],
  );
  if (document.error) throw new Error(JSON.stringify(document.error));
  const { result, zeroShot, decoding } = document;
  const { perplexity, perplexityError } = result.model;
  return { decoding, perplexity, perplexityError, scoredTokens: result.scoredTokens, tasks: zeroShot.tasks };
}

const book = bookParts();
const result = existsSync(FILE) ? JSON.parse(readFileSync(FILE, "utf8")) : { subjects: {} };
const chosen = flag("only")?.split(",") ?? ["smollm2"];
for (const name of chosen) {
  const subject = SUBJECTS[name];
  const folder = subject.folder();
  const at = ["--exits-at", exitsOf(subject).join(",")];
  for (const state of states) {
    const tuning = state === "after" ? await tuned(name, folder, subject, book) : null;
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
