import { existsSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { readManifest } from "../../../src/artifact/reader.ts";
import { readSchedule } from "../../../src/artifact/schedule.ts";
import { verifyArtifact } from "../../../src/artifact/verify.ts";
import { compress } from "../../../src/pipeline/compress.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { HAS_ADDON, needsAddon } from "../../runtime/native/addon-state.ts";
import { exampleOptions } from "../example-job.ts";

const base = temporaryFolder();
const UNIFORM = `
name: x
calibration: { sources: [{ path: a.txt, tokens: 8 }] }
plan: { allocator: uniform, codecs: [q4s-g32], embedding: 8 bits }
schedule: { promptTokens: 8, generateTokens: 4, repeats: 1 }
`;

/** Runs it; what it chose, and names of the steps that were not there already. */
async function stepsOf(executor: "native" | "tfjs", out: string) {
  const steps: string[] = [];
  const options = { ...exampleOptions(UNIFORM, { out: path.join(base, out), executor }) };
  const { schedule } = await compress({ ...options, onStep: (step) => !step.cached && steps.push(step.name) });
  return { schedule, steps };
}

describe("step scheduled", () => {
  it.skipIf(!HAS_ADDON)(
    needsAddon("writes what is fastest here beside the artifact, and again where that is gone or damaged"),
    async () => {
      const { schedule, steps } = await stepsOf("native", "native");
      expect(steps).toEqual(["weights", "plan", "artifact", "scheduled"]);
      const folder = path.join(base, "native", "artifact");
      const written = await readSchedule(folder);
      expect(written?.chosen).toEqual(schedule);
      expect(written?.manifestSha256).toBe((await readManifest(folder)).manifestSha256);
      expect(await verifyArtifact(folder)).toEqual([]);
      expect((await stepsOf("native", "native")).steps).toEqual([]);
      rmSync(path.join(folder, "schedule.json"));
      expect((await stepsOf("native", "native")).steps).toEqual(["scheduled"]);
      writeFileSync(path.join(folder, "schedule.json"), "{");
      expect((await stepsOf("native", "native")).steps).toEqual(["scheduled"]);
      expect((await readSchedule(folder))?.manifestSha256).toBe(written?.manifestSha256);
    },
  );

  it("measures nothing where the executor cannot stream", async () => {
    expect((await stepsOf("tfjs", "tfjs")).schedule).toBeNull();
    expect(existsSync(path.join(base, "tfjs", "artifact", "schedule.json"))).toBe(false);
    expect((await stepsOf("tfjs", "tfjs")).steps).toEqual([]);
  });
});
