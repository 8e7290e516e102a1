import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { cacheFolder } from "../cache-folder.ts";

/**
 * What is remembered of a binary: which one it was, and what was wrong with it (null: nothing). A line each in the
 * file: reading it must cost nothing at the start of a process.
 */
interface Proof {
  readonly binary: string;
  readonly problem: string | null;
}

/** The second line of a binary that works. */
const WORKS = "works";

const PROBE_TIMEOUT_MS = 60_000;

/**
 * Tries a binary in a process of its own, where a crash is only an exit status: a library that is missing something or
 * was compiled for another processor ends the process that loads it instead of throwing. Loads it and multiplies with
 * every instruction set.
 */
const PROBE = `
const form = { kind: "q4", asymmetric: false, group: 32, table: false, twoLevel: false, keptCount: 0, keptOf: 0 };
for (const { name } of addon.isas.filter((isa) => isa.unavailable === null)) {
  const engine = addon.createEngine({ isa: name, threads: 2 });
  const bytes = new Uint8Array(addon.alignedBytes(addon.packedBytes(form, 16, 32)));
  const matrix = { ...form, rows: 16, cols: 32, bytes };
  engine.productInt8(matrix, new Float32Array(32), new Float32Array(16));
  engine.product(matrix, new Float32Array(32), new Float32Array(16));
  engine.dispose();
}`;

/**
 * Null if the binary works; else what is wrong, for a sentence. The answer is remembered beside the binary, or in the
 * user's cache folder where that cannot be written, so that only the first start after a build pays for it.
 */
export function proveBinary(file: string): string | null {
  let binary: string;
  try {
    const { size, mtimeMs } = statSync(file);
    binary = [size, mtimeMs, process.platform, process.arch, process.version].join(" ");
  } catch {
    return "there is no such file";
  }
  const places = [`${file}.proof`, path.join(cacheFolder(), `${file.replace(/[^A-Za-z0-9.-]+/g, "_")}.proof`)];
  for (const place of places) {
    const proof = readProof(place);
    if (proof?.binary === binary) return proof.problem;
  }
  const problem = probe(file);
  remember(places, { binary, problem });
  return problem;
}

function readProof(place: string): Proof | undefined {
  try {
    const [binary, problem] = readFileSync(place, "utf8").split("\n");
    return { binary, problem: problem === WORKS ? null : problem };
  } catch {
    return undefined;
  }
}

/** Written under another name first: two processes may start at once. */
function remember(places: readonly string[], proof: Proof): void {
  for (const place of places) {
    try {
      mkdirSync(path.dirname(place), { recursive: true });
      const partial = `${place}.${process.pid}.partial`;
      writeFileSync(partial, `${proof.binary}\n${proof.problem ?? WORKS}\n`);
      renameSync(partial, place);
      return;
    } catch {
      // A read-only folder: the next place, and in the end the binary is tried anew each time.
    }
  }
}

function probe(file: string): string | null {
  // Only here: loading the module costs every start of the program 3 ms otherwise.
  const { spawnSync }: typeof import("node:child_process") = createRequire(import.meta.url)("node:child_process");
  const script = `const addon = require(${JSON.stringify(file)});${PROBE}`;
  const { status, signal, stderr, error } = spawnSync(process.execPath, ["-e", script], {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: PROBE_TIMEOUT_MS,
  });
  if (error) return `it could not be tried: ${error.message}`;
  if (signal) return `it crashed when it was tried (${signal})`;
  if (status === 0) return null;
  const line = stderr.split("\n").find((text) => /^\w*Error\b/.test(text)) ?? `exit status ${status}`;
  return `it failed when it was tried (${line.trim()})`;
}
