import path from "node:path";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { HAS_ADDON } from "../native/engines.ts";
import { STORIES } from "../support/fixtures.ts";
import { NOT_BUILT, needsBuild } from "./command-line.ts";
import { peakAndPlan } from "./process-peak.ts";

const folder = temporaryFolder();

const EXECUTORS = [
  ...(HAS_ADDON ? [{ name: "native", contextTokens: 512, how: ["--executor", "native"] }] : []),
  { name: "wasm", contextTokens: 128, how: ["--executor", "tfjs", "--backend", "wasm"] },
];

// The base was measured on Linux, with Node 20; elsewhere it is an estimate.
describe.skipIf(NOT_BUILT !== null || process.platform !== "linux")(needsBuild("a budget of the process"), () => {
  it.each(EXECUTORS)("is kept by a run that fills its context: $name", async ({ name, contextTokens, how }) => {
    const { peak, memory } = await peakAndPlan({
      checkpoint: STORIES,
      out: path.join(folder, name),
      contextTokens,
      how,
    });
    expect(peak).toBeLessThanOrEqual(memory.totalBytes);
    // Nor is much more asked for than is taken.
    expect(peak).toBeGreaterThan(0.75 * memory.totalBytes);
  });
});
