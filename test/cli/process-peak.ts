import { spawnSync } from "node:child_process";
import path from "node:path";
import { expect } from "vitest";
import { openArtifact } from "../../src/artifact/reader.ts";
import { commandLine, MAIN } from "./command-line.ts";

/** Told before the program ends: its own peak. Another process's is not mixed in, as it is in its resource usage. */
const TELL =
  "import fs from 'node:fs';process.on('exit',()=>fs.writeSync(2,fs.readFileSync('/proc/self/status','utf8')))";
/** A checkpoint, where its run folder is to be, the context to fill, and options of the executor. */
interface PeakRequest {
  readonly checkpoint: string;
  readonly out: string;
  readonly contextTokens: number;
  readonly how: readonly string[];
}

/** Compresses for the process; what was planned, and the peak in bytes of a run that fills the context. */
export async function peakAndPlan({ checkpoint, out, contextTokens, how }: PeakRequest) {
  const budget = ["--budget", "1 GiB", "--budget-covers", "process", "--context", String(contextTokens)];
  const made = await commandLine(["compress", checkpoint, ...budget, "--recipe", "uniform", ...how, "--out", out]);
  expect(made.code).toBe(0);
  const artifact = await openArtifact(path.join(out, "artifact"));
  const { memory } = artifact;
  await artifact.close();
  const args = ["run", out, "Once upon a time", "--max-tokens", String(2 * contextTokens), "--json", ...how];
  const tell = ["--import", `data:text/javascript,${encodeURIComponent(TELL)}`];
  const { stdout, stderr } = spawnSync(process.execPath, [...tell, MAIN, ...args], { encoding: "utf8" });
  expect(JSON.parse(stdout)).toMatchObject({ reason: "context" });
  return { memory, peak: 1024 * Number(/^VmHWM:\s+(\d+) kB$/m.exec(stderr)?.[1]) };
}
