// Measures the resident memory of a process in which an executor is up and no weights are loaded: the runtime's base in
// the memory sum. Runs on dist/ (npm run build and npm run build:native first). Usage:
// node scripts/measure-runtime-base.mjs [--write]
// `--write` rewrites src/runtime/base-bytes-measured.ts with what was measured.
import { execFileSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";

const EXECUTORS = ["native", "tensorflow", "wasm", "cpu"];
const REPEATS = 7;
const TARGET = new URL("../src/runtime/base-bytes-measured.ts", import.meta.url);

/** In a process of its own: loads what a device program loads, computes a little, prints the resident bytes. */
async function measureHere(executor) {
  await import(new URL("../dist/index.js", import.meta.url).href);
  const engine = executor === "native" ? await openNative() : await openTfjs(executor);
  globalThis.gc?.();
  await new Promise((resolve) => setTimeout(resolve, 200));
  console.log(process.memoryUsage().rss);
  engine?.dispose();
}

async function openTfjs(backend) {
  const { openBackend } = await import(new URL("../dist/runtime/tfjs/backend.js", import.meta.url).href);
  await openBackend({ backend });
}

async function openNative() {
  await import(new URL("../dist/runtime/native/executor.js", import.meta.url).href);
  const { openEngine } = await import(new URL("../dist/native/load.js", import.meta.url).href);
  const engine = openEngine();
  const [rows, cols] = [64, 64];
  await engine.offline.accumulateGram(new Float32Array(rows * cols), rows, cols, 1, new Float32Array(cols * cols));
  return engine;
}

function median(values) {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[sorted.length >> 1];
}

function measureAll() {
  const script = fileURLToPath(import.meta.url);
  return EXECUTORS.map((executor) => {
    const run = () =>
      Number(execFileSync(process.execPath, ["--expose-gc", script, "--one", executor], { encoding: "utf8" }));
    const bytes = Array.from({ length: REPEATS }, run);
    // Rounded up to a whole MiB: the spread between runs is about as much.
    return {
      executor,
      bytes: Math.ceil(median(bytes) / 2 ** 20) * 2 ** 20,
      least: Math.min(...bytes),
      most: Math.max(...bytes),
    };
  });
}

function tableSource(rows) {
  const lines = rows.map(({ executor, bytes }) => `  ${executor}: ${bytes / 2 ** 20} * 1024 * 1024,`);
  const where = `Node ${process.versions.node}, ${process.platform} ${process.arch}, ${cpus()[0].model.trim()}`;
  return [
    "/**",
    " * Resident bytes of a process with that executor or backend up and no weights: median of several processes, as",
    ` * scripts/measure-runtime-base.mjs measured and wrote it (${where}).`,
    " */",
    "export const MEASURED_BASE_BYTES = {",
    ...lines,
    "} as const;",
    "",
  ].join("\n");
}

if (process.argv[2] === "--one") {
  await measureHere(process.argv[3]);
} else {
  const rows = measureAll();
  for (const { executor, bytes, least, most } of rows) {
    const mib = (value) => (value / 2 ** 20).toFixed(1);
    console.log(`${executor}: ${mib(bytes)} MiB (${mib(least)} to ${mib(most)})`);
  }
  if (process.argv.includes("--write")) {
    const source = tableSource(rows);
    if (readFileSync(TARGET, { encoding: "utf8", flag: "a+" }) !== source) writeFileSync(TARGET, source);
  }
}
