import { writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openArtifact, readManifest } from "../../../src/artifact/reader.ts";
import { verifyArtifact } from "../../../src/artifact/verify.ts";
import { compress } from "../../../src/pipeline/compress.ts";
import { exitsOfArtifact } from "../../../src/pipeline/exits-of-artifact.ts";
import type { CheckpointJob } from "../../../src/pipeline/open-job.ts";
import { loadRecipe } from "../../../src/pipeline/recipe.ts";
import { temporaryFolder } from "../../formats/temporary-folder.ts";
import { exampleOptions } from "../example-job.ts";

const base = temporaryFolder();
const story = "Once upon a time there was a little dog. He liked to play with a red ball in the park. ".repeat(40);
const text = path.join(base, "story.txt");
const tuningText = path.join(base, "tuning.jsonl");

/** What a compression of the example by a recipe with these lines is asked for. */
function asked(lines: string, out: string): CheckpointJob {
  const recipe = `
name: x
calibration: { sources: [{ path: ${text}, tokens: 64 }], sequenceTokens: 32 }
plan: { allocator: uniform, codecs: [q4s-g32], embedding: 8 bits }
${lines}`;
  return exampleOptions(recipe, { out: path.join(base, out), calibration: [{ path: text, tokens: 64 }] });
}

const TUNE = `{ data: [${tuningText}], window: 2, steps: 3, accumulate: 1, sequence: 24, rank: 2, heldOut: 0.2 }`;
const EXITS = "exits: { after: windows, kind: shared, vote: weighted, tokens: 256 }";

/** Runs it; names of the steps that were not there already. */
async function stepsOf(options: CheckpointJob) {
  const steps: string[] = [];
  const result = await compress({ ...options, onStep: (step) => !step.cached && steps.push(step.name) });
  return { ...result, steps };
}

beforeAll(() => {
  writeFileSync(text, story);
  writeFileSync(tuningText, Array.from({ length: 12 }, (_, i) => `{"text": "${story.slice(i, i + 90)}"}`).join("\n"));
});

describe("step tune", () => {
  it("adds what it learned to the artifact, with exits at its windows' ends that vote; all is there again", async () => {
    const options = asked(`tune: ${TUNE}\n${EXITS}`, "whole");
    const { plan, tuning, exits, steps } = await stepsOf(options);
    expect(steps.slice(-4)).toEqual(["artifact", "tune", "exit-text", "exits"]);
    expect(tuning?.losses.map(({ blocks }) => blocks)).toEqual([2, 4, 5]);
    expect(exits?.table.exits.map(({ blocks, kind }) => [blocks, kind])).toEqual([
      [2, "shared"],
      [4, "shared"],
    ]);
    expect(exits?.table.voting?.weights).toHaveLength(3);
    const folder = path.join(options.out, "artifact");
    expect(await verifyArtifact(folder)).toEqual([]);
    const artifact = await openArtifact(folder);
    const additions = await artifact.readAdditions();
    await artifact.close();
    expect(additions.every(({ rank, b }) => rank === 2 && b.some((value) => value !== 0))).toBe(true);
    // What the plan left room for, to the byte.
    const { memory } = (await readManifest(folder)).plan;
    expect(memory.totalBytes).toBe(plan?.memory.totalBytes);
    expect((await stepsOf(options)).steps).toEqual([]);
    const again = await exitsOfArtifact(folder, {
      ...{ settings: {}, text: null, seed: null, work: null, overBudget: false, executor: null, backend: null },
      onStep: ({ cached, name }) => expect([name, cached]).toEqual([name, true]),
    });
    expect(again.table).toEqual(exits?.table);
  });

  it("learns anew with other settings, on the artifact as it was packed; without tuning nothing is left of it", async () => {
    const options = asked(`tune: ${TUNE}\n${EXITS}`, "again");
    const first = await stepsOf(options);
    const packed = await stepsOf(asked("", "plain"));
    const manifestOf = async (out: string) => (await readManifest(path.join(base, out, "artifact"))).manifestSha256;
    const other = await stepsOf(asked(`tune: ${TUNE.replace("steps: 3", "steps: 2")}`, "again"));
    expect(other.steps).toContain("tune");
    expect(other.tuning?.losses[0].before).toBe(first.tuning?.losses[0].before);
    expect((await readManifest(path.join(base, "again", "artifact"))).exits).toBeNull();
    const bare = await stepsOf(asked("", "again"));
    expect(bare.tuning).toBeNull();
    expect(packed.tuning).toBeNull();
    expect(await manifestOf("again")).toBe(await manifestOf("plain"));
  });

  it("refuses what cannot be tuned before anything long", async () => {
    const refusals = [
      [`tune: ${TUNE.replace("window: 2", "window: 6")}`, "window: expected at most 5 blocks, found 6"],
      [`tune: ${TUNE.replace("sequence: 24", "sequence: 999")}`, "sequence: expected at most the model's context"],
      ["exits: { after: windows }", "exits.after: expected windows of a recipe's tune"],
      [`tune: ${TUNE.replace("tuning.jsonl", "none.jsonl")}`, "none.jsonl: cannot read: no such file"],
    ] as const;
    for (const [lines, message] of refusals) {
      const steps: string[] = [];
      const run = compress({ ...asked(lines, "refused"), onStep: ({ name }) => steps.push(name) });
      await expect(run).rejects.toThrow(message);
      expect(steps).toEqual([]);
    }
  });

  it("takes paths of its text from the recipe's folder", async () => {
    const file = path.join(base, "mine.yaml");
    writeFileSync(
      file,
      `name: mine\ncalibration: { sources: [{ path: story.txt, tokens: 8 }] }\ntune: { data: [tuning.jsonl] }`,
    );
    expect((await loadRecipe(file)).recipe.tune?.data).toEqual([tuningText]);
    expect((await loadRecipe("edge-llm")).recipe.tune?.data?.[0]).toMatch(/calibration-data.origin-of-species\.txt$/);
  });
});
