import path from "node:path";
import { describe, expect, it } from "vitest";
import { addAdapter } from "../../../src/artifact/adapter/add.ts";
import { bareSha256 } from "../../../src/artifact/bare.ts";
import { addExits } from "../../../src/artifact/exits/add.ts";
import { readManifest } from "../../../src/artifact/reader.ts";
import { loadTokenizer } from "../../../src/model/tokenizer.ts";
import { statesFolderOf } from "../../../src/pipeline/exit-states.ts";
import { EXIT_TEXTS } from "../../../src/pipeline/exit-texts/index.ts";
import { Job } from "../../../src/pipeline/job.ts";
import { trunkOf } from "../../../src/pipeline/job-trunk.ts";
import { parseRecipe } from "../../../src/pipeline/recipe.ts";
import { openRunFolder } from "../../../src/pipeline/run-folder.ts";
import { artifactStep } from "../../../src/pipeline/steps/artifact.ts";
import { exitPointsOf, exitPointsStep } from "../../../src/pipeline/steps/exit-points.ts";
import { exitTextStep } from "../../../src/pipeline/steps/exit-text.ts";
import { exitsStep } from "../../../src/pipeline/steps/exits.ts";
import { tinyContents, tinyTable } from "../../artifact/exits/tiny-exits.ts";
import { makeArtifact } from "../../artifact/make-artifact.ts";
import { tinySpec } from "../../artifact/tiny-source.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { randomParts } from "../../support/adapters.ts";

const base = temporaryFolder();
const spec = tinySpec(false);

/** A job that begins at an artifact, with text that is there. */
async function withExits<T>(name: string, exits: string, use: (job: Job) => Promise<T>): Promise<T> {
  const { manifestSha256 } = await makeArtifact(base, name);
  const text = `{ name: x, calibration: { sources: [{ path: a.txt, tokens: 8 }] }, exits: ${exits} }`;
  const options = {
    ...{ recipe: parseRecipe(text, "x.yaml"), calibration: [], threads: 1 },
    ...{ executor: "tfjs" as const, backend: "cpu" as const },
  };
  const run = await openRunFolder(path.join(base, `${name}.run`), { toolVersion: "1" });
  try {
    const tokenizer = await loadTokenizer("examples/stories260k");
    const job = new Job({ run, options, spec, tokenizer, origin: null, artifactFolder: path.join(base, name) });
    job.give(artifactStep, { manifestSha256 });
    job.give(exitTextStep, { id: "text", tokens: 8, sequences: [[1, 2, 3, 4, 5, 6, 7, 8]] });
    return await use(job);
  } finally {
    await run.close();
  }
}

describe("step exits", () => {
  it("is done as long as the artifact has the exits that it added", () =>
    withExits("checked", "{ count: 1 }", async (job) => {
      const { manifestSha256 } = await addExits(job.artifactFolder, {
        table: tinyTable(spec),
        contents: tinyContents(spec),
      });
      const check = (sha256: string) => exitsStep.check?.(job, { manifestSha256: sha256, heads: [] });
      expect(await check(manifestSha256)).toBeNull();
      expect(await check("0".repeat(64))).toBe("the artifact has other exits");
      await makeArtifact(base, "checked", { overwrite: true });
      expect((await readManifest(job.artifactFolder)).exits).toBeNull();
      expect(await check(manifestSha256)).toBe("the artifact has no exits any more");
    }));

  it("depends on points, text, trunk and how heads are made, and leaves states in a folder of their own", async () => {
    const factsOf = (name: string, exits: string) =>
      withExits(name, exits, async (job) => ({
        inputs: await exitsStep.inputs(job),
        points: await job.once(exitPointsOf),
        states: path.basename(await job.once(statesFolderOf)),
      }));
    const even = await factsOf("even", "{ count: 1 }");
    const named = await factsOf("named", `{ after: [${even.points[0]}], confidence: margin }`);
    expect(even.points).toHaveLength(1);
    expect(named.points).toEqual(even.points);
    expect(named.states).toBe(even.states);
    expect(named.inputs).not.toEqual(even.inputs);
    expect(even.inputs).toMatchObject({ points: even.points, executor: "tfjs", backend: "cpu", seed: 0 });
  });

  it("finds points and writes text anew with an adapter that was added beside the recipe", () =>
    withExits("adapted", "{ after: auto, count: 1, data: self }", async (job) => {
      // What a later run of the same folder asks: trunks are opened once a job.
      const asked = async () => {
        const later = new Job(job.facts);
        later.give(artifactStep, { manifestSha256: await bareSha256(job.artifactFolder) });
        later.give(exitTextStep, (await job.get(exitTextStep)).value);
        const text = await EXIT_TEXTS.self.inputs({ trunk: () => later.once(trunkOf) });
        return { points: await exitPointsStep.inputs(later), text };
      };
      const before = await asked();
      expect(await asked()).toEqual(before);
      await addAdapter(job.artifactFolder, { parts: randomParts(spec, {}), dtype: "F16", origin: {} });
      const after = await asked();
      expect(after.points).not.toEqual(before.points);
      expect(after.text).not.toEqual(before.text);
    }));
});
