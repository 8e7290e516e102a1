// What the measuring scripts share: the SmolLM2 checkpoint, stamps of machine and commit, result files and tables.
import { execFileSync, spawn } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { positionals } from "./data.mjs";

export const MIB = 2 ** 20;
/** Value of an option `--name=value` of a script, or undefined. */
export function flag(name) {
  return process.argv.find((arg) => arg.startsWith(`--${name}=`))?.slice(name.length + 3);
}

/** Folder of the SmolLM2-135M checkpoint: the command's argument, or as `npm run model:smollm2` makes it. */
export function smollm2Folder() {
  const [given] = positionals();
  if (given) return given;
  const options = { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] };
  return execFileSync("bash", ["scripts/models/smollm2.sh"], options).trim();
}

/** Where and on what a figure was taken. */
export function stamp() {
  const git = (...args) => execFileSync("git", args, { encoding: "utf8" }).trim();
  const dirty = git("status", "--porcelain", "--", "src").length > 0;
  return {
    date: new Date().toISOString().slice(0, 10),
    commit: `${git("rev-parse", "--short", "HEAD")}${dirty ? " with changes" : ""}`,
    machine: `${os.cpus()[0].model.trim()}, ${os.cpus().length} cores, ${Math.round(os.totalmem() / 2 ** 30)} GiB, Node ${process.version}`,
  };
}

/** Where and on what a figure was taken, for people: of a document with a {@link stamp}. */
export const taken = ({ machine, date, commit }) => `*${machine}; ${date}; commit ${commit}.*`;

/** A line on standard error. */
export const note = (line) => process.stderr.write(`${line}\n`);

/**
 * Runs a layerwise command with --json; gives its document, seconds, peak resident bytes and what it said beside, which
 * is passed on. Throws where the document says a mistake.
 */
export async function layerwise(...args) {
  const began = performance.now();
  const child = spawn(process.execPath, ["dist/cli/main.js", ...args, "--json"], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  let notes = "";
  child.stderr.setEncoding("utf8").on("data", (part) => {
    notes += part;
    process.stderr.write(part);
  });
  let peakRssBytes = 0;
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
      peakRssBytes = Math.max(peakRssBytes, 1024 * Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // The process has just ended: what was seen before stands.
    }
  }, 50);
  let text = "";
  for await (const chunk of child.stdout) text += chunk;
  clearInterval(watch);
  const seconds = (performance.now() - began) / 1000;
  if (!text) throw new Error(`layerwise ${args.join(" ")} printed nothing`);
  const document = JSON.parse(text);
  if (document.error) throw new Error(`layerwise ${args.join(" ")}: ${JSON.stringify(document.error)}`);
  return { document, seconds, peakRssBytes, notes };
}

/** Writes docs/results/<name>.json. */
export function save(name, result) {
  mkdirSync("docs/results", { recursive: true });
  writeFileSync(`docs/results/${name}.json`, `${JSON.stringify(result, null, 2)}\n`);
}

/** A Markdown table. */
export function table(head, rows) {
  const line = (cells) => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}

/** Progress on standard error, a line every few seconds. */
export function progressLine() {
  let last = 0;
  return ({ stage, done, total, detail }) => {
    if (performance.now() - last < 10_000 && done !== total) return;
    last = performance.now();
    note(`${stage} ${done}/${total} ${detail ?? ""}`);
  };
}
