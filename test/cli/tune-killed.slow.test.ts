import { spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { EXAMPLE } from "../e2e/command.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { layerwise, MAIN, NOT_BUILT, needsBuild } from "./command-line.ts";

const base = temporaryFolder();
const text = path.join(base, "text.txt");
writeFileSync(text, readFileSync("calibration-data/tinystories-calibration.txt", "utf8").slice(0, 6000));

const argsFor = (out: string) => [
  ...["tune", EXAMPLE, "--data", text, "--out", out, "--window", "2", "--order", "round-robin", "--turn", "5"],
  ...["--steps", "40", "--accumulate", "2", "--sequence", "64", "--save-every", "3", "--threads", "1", "--rank", "4"],
];

/** Files of a finished run and their bytes. */
function resultsIn(out: string): [string, string][] {
  const adapter = path.join(out, "adapter");
  return readdirSync(adapter)
    .sort()
    .map((name) => [name, readFileSync(path.join(adapter, name)).toString("base64")]);
}

/** Starts the command and kills it so many milliseconds later; how it ended. */
function killed(
  args: readonly string[],
  name: NodeJS.Signals,
  afterMs: number,
): Promise<number | NodeJS.Signals | null> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: "ignore" });
  const timer = setTimeout(() => child.kill(name), afterMs);
  return new Promise((resolve) => {
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      resolve(signal ?? code);
    });
  });
}

describe.skipIf(NOT_BUILT)(needsBuild("layerwise tune, killed at ten moments"), () => {
  it("ends with the same adapter when it is called again", async () => {
    const whole = path.join(base, "whole");
    const startMs = performance.now();
    expect(await layerwise(argsFor(whole))).toMatchObject({ code: 0 });
    const tookMs = performance.now() - startMs;
    const moments = [];
    for (let i = 1; i <= 10; i++) {
      const out = path.join(base, `killed-${i}`);
      const name = i % 2 === 0 ? "SIGTERM" : "SIGKILL";
      moments.push(await killed(argsFor(out), name, (tookMs * i) / 11));
      expect(await layerwise(argsFor(out))).toMatchObject({ code: 0 });
      expect(resultsIn(out), `killed at moment ${i}`).toEqual(resultsIn(whole));
    }
    // Whoever is told to stop says that the same command continues; one that was late has ended by itself.
    expect(moments.filter((ended) => ended === 75 || ended === "SIGKILL").length).toBeGreaterThan(5);
  }, 300_000);
});
