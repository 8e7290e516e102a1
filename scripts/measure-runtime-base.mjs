// Measures the resident memory of a process beside what the memory sum has of its model: the runtime's base. Every
// executor runs the bundled example, tokenizer, decoding and all, until its context is full, as `layerwise run` does;
// what its artifact's sum says is taken off the process's peak. Linux only: /proc has the peak. Runs on dist/ (npm run
// build and npm run build:native first). Usage: node scripts/measure-runtime-base.mjs [--write]
// `--write` rewrites src/runtime/base-bytes-measured.ts with what was measured.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const EXECUTORS = ["native", "tensorflow", "wasm", "cpu"];
const REPEATS = 7;
const TARGET = new URL("../src/runtime/base-bytes-measured.ts", import.meta.url);
const ROOT = fileURLToPath(new URL("..", import.meta.url));
const MAIN = path.join(ROOT, "dist/cli/main.js");
/** Told before the program ends: its own peak, which no other process's is mixed into. */
const TELL =
  "import fs from 'node:fs';process.on('exit',()=>fs.writeSync(2,fs.readFileSync('/proc/self/status','utf8')))";

/** Runs the program; its peak in bytes. */
function peakOf(args) {
  const tell = `data:text/javascript,${encodeURIComponent(TELL)}`;
  const { status, stderr } = spawnSync(process.execPath, ["--import", tell, MAIN, ...args], { encoding: "utf8" });
  const peak = /^VmHWM:\s+(\d+) kB$/m.exec(stderr);
  if (status !== 0 || !peak) throw new Error(`layerwise ${args.join(" ")}: status ${status}\n${stderr}`);
  return Number(peak[1]) * 1024;
}

/** An artifact of the example with a context of 512 tokens; bytes of its memory sum. */
function makeArtifact(folder) {
  const budget = ["--budget", "1 GiB", "--context", "512", "--recipe", "uniform"];
  peakOf(["compress", path.join(ROOT, "examples/stories260k"), ...budget, "--out", folder]);
  const { plan } = JSON.parse(readFileSync(path.join(folder, "artifact/manifest.json"), "utf8"));
  return plan.memory.modelBytes;
}

function measureAll(folder) {
  const modelBytes = makeArtifact(folder);
  return EXECUTORS.map((executor) => {
    const how = executor === "native" ? ["--executor", "native"] : ["--executor", "tfjs", "--backend", executor];
    const run = ["run", path.join(folder, "artifact"), "Once upon a time", "--max-tokens", "600", ...how];
    const bytes = Array.from({ length: REPEATS }, () => peakOf(run) - modelBytes);
    // The largest, since a budget is to be kept, rounded up to a whole MiB.
    const [least, most] = [Math.min(...bytes), Math.max(...bytes)];
    return { executor, bytes: Math.ceil(most / 2 ** 20) * 2 ** 20, least, most };
  });
}

function tableSource(rows) {
  const lines = rows.map(({ executor, bytes }) => `  ${executor}: ${bytes / 2 ** 20} * 1024 * 1024,`);
  const where = `Node ${process.versions.node}, ${process.platform} ${process.arch}, ${cpus()[0].model.trim()}`;
  return [
    "/**",
    " * Resident bytes of a process beside its model, with that executor or backend, a small tokenizer and a full context:",
    " * the largest of several processes, as scripts/measure-runtime-base.mjs measured and wrote it",
    ` * (${where}).`,
    " */",
    "export const MEASURED_BASE_BYTES = {",
    ...lines,
    "} as const;",
    "",
  ].join("\n");
}

const folder = mkdtempSync(path.join(tmpdir(), "layerwise-base-"));
try {
  const rows = measureAll(folder);
  for (const { executor, bytes, least, most } of rows) {
    const mib = (value) => (value / 2 ** 20).toFixed(1);
    console.log(`${executor}: ${mib(bytes)} MiB (${mib(least)} to ${mib(most)})`);
  }
  if (process.argv.includes("--write")) {
    const source = tableSource(rows);
    if (readFileSync(TARGET, { encoding: "utf8", flag: "a+" }) !== source) writeFileSync(TARGET, source);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
