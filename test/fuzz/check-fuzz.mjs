// npm run check:fuzz -- [--each 5000] [--seed 1] [--only SUBJECT] [--case N] [--jobs 2]
// Changes every kind of file that is read, so many times each, and does with it what people do: every case must end in
// a result or in one line and status 1, within two seconds and 512 MiB. Each kind has a process of its own, which is
// watched from here and started anew where it hangs or dies. A finding names seed and number: --only SUBJECT --case N
// does it again and leaves
// the changed file to be looked at. Status 1 where anything was found.
import { fork } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { runnerImport } from "vite";

/** Longest that a case may take before its process is ended; the limit of one command is the worker's. */
const HUNG_MS = 10_000;
/** Longest until a worker has made the files that it changes. */
const START_MS = 120_000;
const MAX_BYTES = 512 * 2 ** 20;
/** Where a process is ended for the machine's sake. */
const END_BYTES = 2 ** 31;
const WATCH_MS = 50;
/** Findings that are shown of those that begin alike. */
const SHOWN = 2;
const [SHOWN_LINES, SHOWN_CHARACTERS] = [8, 300];

const { values } = parseArgs({
  options: {
    each: { type: "string", default: "5000" },
    seed: { type: "string", default: "1" },
    only: { type: "string" },
    case: { type: "string" },
    jobs: { type: "string", default: String(Math.min(2, availableParallelism())) },
  },
});

/** The workers that run: they end, and their folders go, with this process. */
const workers = new Set();
process.on("exit", () => {
  for (const worker of workers) worker.close();
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(130));

/** One worker: `run(number)` gives the case's result, or what became of the process. */
class Worker {
  constructor(subject) {
    this.subject = subject;
    this.folder = mkdtempSync(path.join(tmpdir(), "layerwise-fuzz-"));
    this.stderr = "";
    workers.add(this);
    const args = [this.subject, values.seed, path.join(this.folder, "bases"), values.case === undefined ? "" : "keep"];
    this.child = fork(new URL("worker.mjs", import.meta.url), args, { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.child.stderr.on("data", (text) => {
      this.stderr = `${this.stderr}${text}`.slice(-4000);
    });
    this.child.on("message", (message) => this.done?.(message));
    this.child.on("exit", (code, signal) => {
      this.dead = true;
      this.done?.({ died: this.ended ?? `died by ${signal ?? `status ${code}`}: ${this.stderr.trim()}` });
    });
  }

  /** The next message, or why there is none. */
  next(limitMs) {
    const began = Date.now();
    return new Promise((resolve) => {
      const watch = setInterval(() => {
        if (Date.now() - began > limitMs) this.end(`hung for ${limitMs} ms`);
        else if (residentBytes(this.child.pid) > END_BYTES) this.end(`took more than ${END_BYTES / 2 ** 20} MiB`);
      }, WATCH_MS);
      this.done = (message) => {
        clearInterval(watch);
        resolve(message);
      };
    });
  }

  async start() {
    const message = await this.next(START_MS);
    if (message.died) throw new Error(`${this.subject}: the worker did not start: ${message.died}`);
  }

  run(number) {
    const message = this.next(HUNG_MS);
    this.child.send(number);
    return message;
  }

  end(why) {
    this.ended = why;
    this.child.kill("SIGKILL");
  }

  close() {
    workers.delete(this);
    this.child.kill("SIGKILL");
    if (values.case === undefined) rmSync(this.folder, { recursive: true, force: true });
  }
}

function residentBytes(pid) {
  try {
    return Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** What is wrong with a message; null where nothing is. */
function faultOf({ died, thrown, result }) {
  if (died) return { fault: died, check: null, stderr: "" };
  if (thrown) return { fault: "thrown", check: null, stderr: thrown };
  if (result.fault !== null) return result;
  if (result.peakBytes <= MAX_BYTES) return null;
  return {
    ...result,
    fault: `${Math.round(result.peakBytes / 2 ** 20)} MiB resident`,
    check: "all checks of the case",
  };
}

async function started(subject) {
  const worker = new Worker(subject);
  await worker.start();
  return worker;
}

/** All cases of a subject. What is found is tried again in a new process: time and memory are the machine's too. */
async function fuzz(subject, numbers) {
  const row = {
    subject,
    cases: 0,
    results: 0,
    refusals: 0,
    findings: 0,
    alike: new Map(),
    peakBytes: 0,
    ms: 0,
    slowest: 0,
  };
  let worker = await started(subject);
  for (const number of numbers) {
    let message = await worker.run(number);
    if (faultOf(message)) {
      worker.close();
      worker = await started(subject);
      message = await worker.run(number);
    }
    const fault = faultOf(message);
    if (fault) {
      row.findings++;
      tell(row, { number, ...fault });
    }
    row.cases++;
    if (message.result) count(row, number, message.result);
    if (values.case !== undefined) console.log(`changed: ${message.result?.file ?? worker.folder}`);
    if (worker.dead) {
      worker.close();
      worker = await started(subject);
    }
    if (row.cases % 500 === 0) process.stderr.write(`${subject}: ${row.cases} cases, ${row.findings} findings\n`);
  }
  worker.close();
  return row;
}

function count(row, number, { results, refusals, peakBytes, ms }) {
  row.results += results;
  row.refusals += refusals;
  row.peakBytes = Math.max(row.peakBytes, peakBytes);
  if (ms > row.ms) Object.assign(row, { ms, slowest: number });
}

/** Tells a finding, unless enough of those that begin alike are told. */
function tell({ subject, alike }, { number, fault, check, stderr }) {
  const kind = kindOf({ fault, stderr });
  const told = alike.get(kind) ?? 0;
  alike.set(kind, told + 1);
  if (told >= SHOWN) return;
  console.log(`\n${subject}: ${fault}${check ? `: ${check}` : ""}`);
  const lines = stderr.split("\n").slice(0, SHOWN_LINES);
  if (stderr) console.log(lines.map((line) => `    ${line.slice(0, SHOWN_CHARACTERS)}`).join("\n"));
  console.log(`  again: npm run check:fuzz -- --seed ${values.seed} --only ${subject} --case ${number}`);
}

function kindOf({ fault, stderr }) {
  const stack = stderr.split("\n").filter((line) => /^\s+at /.test(line));
  return `${fault.replaceAll(/\d+/g, "0").slice(0, 60)} ${stack.slice(0, 2).join(" ").replaceAll(/:\d+/g, "")}`;
}

function table(rows) {
  const head = ["subject", "cases", "results", "refusals", "findings", "peak MiB", "slowest ms", "its case"];
  const cells = rows.map((row) => [
    ...[row.subject, row.cases, row.results, row.refusals, row.findings],
    ...[Math.round(row.peakBytes / 2 ** 20), Math.round(row.ms), row.slowest],
  ]);
  const widths = head.map((_, i) => Math.max(...[head, ...cells].map((line) => String(line[i]).length)));
  return [head, ...cells].map((line) => line.map((cell, i) => String(cell).padStart(widths[i])).join("  ")).join("\n");
}

const subjects = await runnerImport(fileURLToPath(new URL("subjects.ts", import.meta.url)), {
  oxc: { target: "es2022" },
});
const names = subjects.module.SUBJECTS.map(({ name }) => name);
if (values.only !== undefined && !names.includes(values.only)) {
  process.stderr.write(`check:fuzz: --only: expected one of ${names.join(", ")}, found ${values.only}\n`);
  process.exit(1);
}
const waiting = names.filter((name) => values.only === undefined || name === values.only);
const numbers = values.case === undefined ? [...Array(Number(values.each)).keys()] : [Number(values.case)];
const rows = [];
const work = async () => {
  for (let subject = waiting.shift(); subject !== undefined; subject = waiting.shift()) {
    rows.push(await fuzz(subject, numbers));
  }
};
await Promise.all(Array.from({ length: Number(values.jobs) }, work));
rows.sort((a, b) => names.indexOf(a.subject) - names.indexOf(b.subject));
console.log(`\nseed ${values.seed}\n${table(rows)}`);
process.exit(rows.some(({ findings }) => findings > 0) ? 1 : 0);
