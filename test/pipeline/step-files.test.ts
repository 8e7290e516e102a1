import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { openRunFolder, peek, type RunFolder, readResult, type StepReport } from "../../src/pipeline/run-folder.ts";

const Numbers = z.strictObject({ numbers: z.array(z.number()) });

let folder: string;
let runs: RunFolder[];
let reports: StepReport[];

beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), "layerwise-run-"));
  runs = [];
  reports = [];
});

afterEach(async () => {
  for (const run of runs) await run.close();
  await rm(folder, { recursive: true });
});

async function open(toolVersion = "1"): Promise<RunFolder> {
  const run = await openRunFolder(folder, { toolVersion, onStep: (report) => reports.push(report) });
  runs.push(run);
  return run;
}

const computeNumbers = (run: RunFolder, inputs: unknown) =>
  run.step("numbers", Numbers, inputs, async () => ({ numbers: [1, 2, 3.5] }));

describe("what a step has left", () => {
  const numbers = { name: "numbers", schema: Numbers };
  const fileOf = (name: string) => path.join(folder, `${name}.json`);

  it("can be read without the lock and whatever its inputs were; null where there is none", async () => {
    const run = await open();
    expect(await peek(folder, numbers)).toBeNull();
    await computeNumbers(run, { a: 1 });
    expect(await peek(folder, numbers)).toEqual({ numbers: [1, 2, 3.5] });
    await writeFile(fileOf("numbers"), '{"key": "k", "value": {"numbers": ["x"]}}');
    await expect(peek(folder, numbers)).rejects.toMatchObject({ code: "BAD_FIELD" });
    await writeFile(fileOf("numbers"), "{");
    await expect(peek(folder, numbers)).rejects.toMatchObject({ code: "NOT_JSON" });
  });

  it("is read out of a step's file, of any version, or out of one that holds nothing else", async () => {
    await open();
    await writeFile(fileOf("old"), '{"key": "k", "inputs": 1, "value": {"numbers": [1]}}');
    await writeFile(fileOf("bare"), '{"numbers": [2]}');
    expect(await readResult(fileOf("old"), Numbers)).toEqual({ numbers: [1] });
    expect(await readResult(fileOf("bare"), Numbers)).toEqual({ numbers: [2] });
    await expect(readResult(fileOf("none"), Numbers)).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  });

  it("is computed anew where the form of keys was another, and says so", async () => {
    const run = await open();
    await computeNumbers(run, 1);
    const text = await readFile(fileOf("numbers"), "utf8");
    await writeFile(fileOf("numbers"), text.replace('"form": 2,', ""));
    await computeNumbers(run, 1);
    expect(reports[1]).toMatchObject({ cached: false, note: "numbers.json is of another version of layerwise" });
    expect(await readFile(fileOf("numbers"), "utf8")).toBe(text);
  });

  it("is there for the next computation from other inputs, unless it is damaged or another version's", async () => {
    const earlierOf = async (run: RunFolder, inputs: unknown) => {
      let found: unknown;
      await run.step("numbers", Numbers, inputs, async (work) => {
        found = await work.earlier();
        return { numbers: [7] };
      });
      return found;
    };
    const run = await open();
    expect(await earlierOf(run, { a: 1 })).toBeNull();
    expect(await earlierOf(run, { a: 2 })).toEqual({ inputs: { a: 1 }, value: { numbers: [7] } });
    await writeFile(fileOf("numbers"), (await readFile(fileOf("numbers"), "utf8")).replace('"a": 2', '"a": 3'));
    expect(await earlierOf(run, { a: 4 })).toBeNull();
    await run.close();
    expect(await earlierOf(await open("2"), { a: 5 })).toBeNull();
  });
});
