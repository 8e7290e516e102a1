import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** What a test file asks of the worker that runs it. */
export type Worker = "plain" | "tfjs" | "alone";

/** Modules that a file names, lazily or not; what it takes types of is gone once it runs. */
function modulesOf(file: string): string[] {
  const text = readFileSync(file, "utf8").replace(/^import type [^;]*;/gm, "");
  return [...text.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"([^"]+)"/g)].map(([, module]) => module);
}

/** Whether a file can load TensorFlow.js, by whatever way. */
function reachesTensorflow(entry: string): boolean {
  const seen = new Set([entry]);
  for (const file of seen) {
    for (const module of modulesOf(file)) {
      if (module.startsWith("@tensorflow/")) return true;
      const target = path.join(path.dirname(file), module);
      if (module.startsWith(".") && /\.m?ts$/.test(module) && existsSync(target)) seen.add(target);
    }
  }
  return false;
}

/** What replaces modules, or changes the process, for its own time: nothing may be loaded before it. */
const ALONE = /\bvi\.(doMock|mock|stubEnv)\(|process\.env\.\w+ = /;

function workerOf(file: string): Worker {
  if (ALONE.test(readFileSync(file, "utf8"))) return "alone";
  return reachesTensorflow(file) ? "tfjs" : "plain";
}

/** The test files by the worker that they need; `slow`: those that take minutes, else all but those. */
export function testFiles(slow: boolean): Readonly<Record<Worker, string[]>> {
  const files: Record<Worker, string[]> = { plain: [], tfjs: [], alone: [] };
  for (const name of readdirSync("test", { recursive: true, encoding: "utf8" }).sort()) {
    const file = path.posix.join("test", name.split(path.sep).join("/"));
    if (!file.endsWith(".test.ts") || file.includes("node_modules") || file.startsWith("test/peers/")) continue;
    if (file.endsWith(".slow.test.ts") === slow) files[workerOf(file)].push(file);
  }
  return files;
}
