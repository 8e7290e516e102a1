import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import os from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { Interrupted } from "../../src/errors.ts";
import { thisProcess } from "../../src/formats/lock-owner.ts";
import { openRunFolder, type RunFolder, type StepReport } from "../../src/pipeline/run-folder.ts";

const Numbers = z.strictObject({ numbers: z.array(z.number()) });

let folder: string;
let open: RunFolder[];
let reports: StepReport[];

beforeEach(async () => {
  folder = path.join(await mkdtemp(path.join(os.tmpdir(), "layerwise-run-")), "outputs", "x");
  open = [];
  reports = [];
});

afterEach(async () => {
  for (const run of open) await run.close();
  await rm(path.dirname(path.dirname(folder)), { recursive: true, force: true });
});

async function openRun(toolVersion = "1", signal?: AbortSignal): Promise<RunFolder> {
  const run = await openRunFolder(folder, {
    toolVersion,
    signal,
    onStep: (report) => reports.push(report),
    now: () => 0,
  });
  open.push(run);
  return run;
}

async function closeRun(run: RunFolder): Promise<void> {
  open.splice(open.indexOf(run), 1);
  await run.close();
}

/** Runs the step `numbers` and counts how often it is computed. */
async function numbersOf(run: RunFolder, inputs: unknown, calls: unknown[] = []): Promise<number[]> {
  const { value } = await run.step("numbers", Numbers, inputs, async () => {
    calls.push(inputs);
    return { numbers: [1, 2, 3.5] };
  });
  return value.numbers;
}

describe("step", () => {
  it("computes once for the same inputs, in this run and the next", async () => {
    const calls: unknown[] = [];
    const run = await openRun();
    expect(await numbersOf(run, { a: 1, b: 2 }, calls)).toEqual([1, 2, 3.5]);
    expect(await numbersOf(run, { b: 2, a: 1, c: undefined }, calls)).toEqual([1, 2, 3.5]);
    await closeRun(run);
    expect(await numbersOf(await openRun(), { a: 1, b: 2 }, calls)).toEqual([1, 2, 3.5]);
    expect(calls).toHaveLength(1);
    expect(reports.map(({ cached, note }) => [cached, note])).toEqual([
      [false, null],
      [true, null],
      [true, null],
    ]);
  });

  it("computes anew for other inputs, another tool version, another step's name", async () => {
    const calls: unknown[] = [];
    const run = await openRun();
    await numbersOf(run, { a: 1 }, calls);
    await numbersOf(run, { a: 2 }, calls);
    await closeRun(run);
    await numbersOf(await openRun("2"), { a: 2 }, calls);
    expect(calls).toHaveLength(3);
    expect(reports.map(({ note }) => note)).toEqual([null, "its inputs changed", "its inputs changed"]);
    expect(new Set(reports.map(({ key }) => key)).size).toBe(3);
  });

  it("saves key, inputs and value in a file that can be read, the same bytes each time", async () => {
    const run = await openRun();
    const { key } = await run.step("numbers", Numbers, [1], async () => ({ numbers: [1, 2] }));
    const file = path.join(folder, "numbers.json");
    const text = await readFile(file, "utf8");
    expect(JSON.parse(text)).toEqual({ form: 2, key, inputs: [1], value: { numbers: [1, 2] } });
    expect(text).toContain('"numbers": [1, 2]');
    await rm(file);
    await run.step("numbers", Numbers, [1], async () => ({ numbers: [1, 2] }));
    expect(await readFile(file, "utf8")).toBe(text);
    expect((await readdir(folder)).filter((name) => name.endsWith(".partial"))).toEqual([]);
  });

  it.each([
    ["not JSON", "{"],
    ["another form", '{"key": 1}'],
  ])("computes anew over a file that holds %s, and says so", async (_, text) => {
    const run = await openRun();
    await numbersOf(run, 1);
    await writeFile(path.join(folder, "numbers.json"), text);
    expect(await numbersOf(run, 1)).toEqual([1, 2, 3.5]);
    expect(reports[1]).toMatchObject({ cached: false, note: "numbers.json is damaged" });
    await numbersOf(run, 1);
    expect(reports[2]).toMatchObject({ cached: true, note: null });
  });

  it("computes anew over a value that the schema does not accept", async () => {
    const run = await openRun();
    await numbersOf(run, 1);
    const file = path.join(folder, "numbers.json");
    await writeFile(file, (await readFile(file, "utf8")).replace("3.5", '"x"'));
    await numbersOf(run, 1);
    expect(reports[1]).toMatchObject({ cached: false, note: "numbers.json is damaged" });
  });

  it("computes anew when what the result refers to is gone", async () => {
    const run = await openRun();
    const step = (check: string | null) =>
      run.step("numbers", Numbers, 1, async () => ({ numbers: [] }), { check: async () => check });
    await step(null);
    await step("the artifact is gone");
    await step(null);
    expect(reports.map(({ cached, note }) => [cached, note])).toEqual([
      [false, null],
      [false, "the artifact is gone"],
      [true, null],
    ]);
  });

  it("leaves no file when the computation fails or its value is not what the schema says", async () => {
    const run = await openRun();
    await expect(run.step("numbers", Numbers, 1, () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    await expect(run.step("numbers", Numbers, 1, async () => ({ numbers: [Number.NaN] }))).rejects.toThrow();
    expect(existsSync(path.join(folder, "numbers.json"))).toBe(false);
  });

  it("stops before the next step when asked to", async () => {
    const controller = new AbortController();
    const run = await openRun("1", controller.signal);
    await numbersOf(run, 1);
    controller.abort();
    await expect(numbersOf(run, 2)).rejects.toBeInstanceOf(Interrupted);
    expect(await numbersOf(run, 1)).toEqual([1, 2, 3.5]);
  });

  it("passes a full or read-only disk on as one line and keeps the earlier result", async () => {
    const run = await openRun();
    await numbersOf(run, 1);
    // A folder where the temporary file should go makes the write fail for root too.
    await mkdir(path.join(folder, "numbers.json.partial", "x"), { recursive: true });
    await expect(numbersOf(run, 2)).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringMatching(/^[^\n]+$/),
    });
    expect(JSON.parse(await readFile(path.join(folder, "numbers.json"), "utf8")).inputs).toBe(1);
  });
});

describe("scratch", () => {
  const run = (target: RunFolder, inputs: unknown, work: (scratch: string) => Promise<void>) =>
    target.step("packed", Numbers, inputs, async ({ scratch }) => {
      await work(await scratch());
      return { numbers: [] };
    });

  it("is kept when the step fails, found again under the same inputs and removed at its end", async () => {
    const target = await openRun();
    const interrupted = run(target, 1, async (scratch) => {
      await writeFile(path.join(scratch, "block-0"), "done");
      throw new Interrupted();
    });
    await expect(interrupted).rejects.toBeInstanceOf(Interrupted);
    await run(target, 1, async (scratch) => {
      expect(await readdir(scratch)).toEqual(["block-0"]);
    });
    expect(existsSync(path.join(folder, "scratch"))).toBe(false);
  });

  it("begins empty, and without the old one, for other inputs", async () => {
    const target = await openRun();
    const failed = run(target, 1, async (scratch) => {
      await writeFile(path.join(scratch, "block-0"), "done");
      throw new Error("killed");
    });
    await expect(failed).rejects.toThrow("killed");
    await run(target, 2, async (scratch) => {
      expect(await readdir(scratch)).toEqual([]);
      expect(await readdir(path.dirname(scratch))).toHaveLength(1);
    });
  });
});

describe("the lock", () => {
  it("keeps a second writer out until the first closes", async () => {
    const first = await openRun();
    await expect(openRun()).rejects.toMatchObject({
      code: "RUN_FOLDER_LOCKED",
      message: expect.stringContaining(
        `${folder}: expected a run folder that nobody writes to, found it in use by process ${process.pid}`,
      ),
    });
    await closeRun(first);
    await openRun();
  });

  it("is let go without complaint when the folder has been removed meanwhile", async () => {
    const run = await openRun();
    await rm(folder, { recursive: true });
    await expect(closeRun(run)).resolves.toBeUndefined();
  });

  it("keeps another living process's folder closed", async () => {
    const child = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    try {
      await heldBy({ ...(await thisProcess()), pid: child.pid ?? 0, startTicks: null });
      await expect(openRun()).rejects.toMatchObject({ code: "RUN_FOLDER_LOCKED" });
    } finally {
      child.kill("SIGKILL");
    }
  });

  it("is taken over at once from a process that has died", async () => {
    const child = spawn(process.execPath, ["-e", ""]);
    await new Promise((resolve) => child.on("exit", resolve));
    await heldBy({ ...(await thisProcess()), pid: child.pid ?? 0, startTicks: null });
    expect(await numbersOf(await openRun(), 1)).toEqual([1, 2, 3.5]);
    await expect(openRun()).rejects.toMatchObject({ code: "RUN_FOLDER_LOCKED" });
  });

  it("is taken over from a process whose number another one has now", async () => {
    const here = await thisProcess();
    if (here.startTicks === null) return;
    await heldBy({ ...here, startTicks: "1" });
    await openRun();
  });

  it("of another machine is respected while it is fresh, and taken over when it shows no sign of life", async () => {
    await heldBy({ ...(await thisProcess()), host: "elsewhere", pid: 1 });
    await expect(openRun()).rejects.toMatchObject({ message: expect.stringContaining("process 1 on elsewhere") });
    const longAgo = new Date(Date.now() - 10 * 60_000);
    await utimes(path.join(folder, ".lock"), longAgo, longAgo);
    await openRun();
  });

  /** Leaves the folder as a process that holds the lock would. */
  async function heldBy(owner: object): Promise<void> {
    await mkdir(path.join(folder, ".lock"), { recursive: true });
    await writeFile(path.join(folder, ".owner.json"), JSON.stringify(owner));
  }
});

describe("openRunFolder", () => {
  it.runIf(existsSync("/proc/self"))("refuses a place where nothing can be written, in one line", async () => {
    const opening = openRunFolder("/proc/self/layerwise", { toolVersion: "1" });
    await expect(opening).rejects.toMatchObject({
      name: "UserError",
      message: expect.stringMatching(/^\/proc[^\n]+$/),
    });
  });

  it("refuses a file in its place", async () => {
    await mkdir(path.dirname(folder), { recursive: true });
    await writeFile(folder, "");
    await expect(openRun()).rejects.toMatchObject({ name: "UserError", message: expect.stringContaining(folder) });
  });
});
