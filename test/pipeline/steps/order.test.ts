import path from "node:path";
import { describe, expect, it } from "vitest";
import { readManifest } from "../../../src/artifact/reader.ts";
import { compress } from "../../../src/pipeline/compress.ts";
import { withJob } from "../../../src/pipeline/open-job.ts";
import { calibrationFiles, loadRecipe } from "../../../src/pipeline/recipe.ts";
import type { StepReport } from "../../../src/pipeline/run-folder.ts";
import { STEPS } from "../../../src/pipeline/steps/index.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { exampleOptions } from "../example-job.ts";

const base = temporaryFolder();

describe("the order of the steps", () => {
  it("is found: the artifact alone, or all from the last to the first, gives the artifact of the list", async () => {
    const loaded = await loadRecipe("smoke");
    const optionsOf = (out: string) => ({
      ...exampleOptions("{ name: x, calibration: { sources: [{ path: a.txt, tokens: 8 }] } }", {
        out: path.join(base, out),
      }),
      ...{ budget: "2.95 MiB", recipe: loaded.recipe, calibration: calibrationFiles(loaded) },
    });
    const shaOf = async (out: string) => (await readManifest(path.join(base, out, "artifact"))).manifestSha256;
    await compress(optionsOf("list"));

    const steps: StepReport[] = [];
    const onStep = (step: StepReport) => steps.push(step);
    await withJob({ ...optionsOf("pulled"), onStep }, { plans: true }, (job) => job.get(STEPS.artifact));
    expect(steps.map(({ name }) => name)).toEqual(["weights", "calibration", "scores", "plan", "artifact"]);
    expect(await shaOf("pulled")).toBe(await shaOf("list"));

    await withJob(optionsOf("backwards"), { plans: true }, async (job) => {
      for (const step of Object.values(STEPS).reverse()) await job.ask<unknown>(step);
    });
    expect(await shaOf("backwards")).toBe(await shaOf("list"));
  });
});
