import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { SCHEDULE_NAME } from "../../src/artifact/manifest.ts";
import { Schedule } from "../../src/artifact/schedule.ts";
import { makeStoriesWithExits } from "../decoding/artifact-with-exits.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { HAS_ADDON, needsAddon } from "../runtime/native/addon-state.ts";
import { STORIES } from "../support/fixtures.ts";
import { commandLine } from "./command-line.ts";

const root = temporaryFolder();
const artifact = path.join(root, "stories");
const file = path.join(artifact, SCHEDULE_NAME);
const QUICK = ["--repeats", "1", "--prompt-tokens", "16", "--generate-tokens", "8", "--threads", "1"];
const DRAW = ["--temperature", "1"];
const run = (...args: string[]) => commandLine(["run", artifact, "Once upon a", "--max-tokens", "12", ...args]);
const read = () => Schedule.parse(JSON.parse(readFileSync(file, "utf8")));
const change = (fields: Partial<Schedule>) => writeFileSync(file, JSON.stringify({ ...read(), ...fields }));

describe.skipIf(!HAS_ADDON)(needsAddon("schedule"), () => {
  beforeAll(() => makeStoriesWithExits(artifact));

  test("measures, prints the front and writes what run then goes by", async () => {
    const whole = await run();
    const { code, stdout, stderr } = await commandLine(["schedule", artifact, ...QUICK]);
    expect(stderr).toContain("schedule.json in");
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\* .* (mapped|streamed|memory) .*the same$/m);
    const { chosen, front } = read();
    expect(front.length).toBeGreaterThan(0);
    expect(chosen).toMatchObject({ threads: 1, sameText: true });
    const scheduled = await run("--verbose");
    expect(scheduled.stdout).toBe(whole.stdout);
    expect(scheduled.stderr).toMatch(/^schedule: threads 1, prompt-chunk \d+, kv \w+, residency \w+/m);
  });

  test("an option goes before it, and --no-schedule leaves it out", async () => {
    const asked = await run("--verbose", "--kv", "f32", "--residency", "memory", "--decode", "plain");
    expect(asked.stderr).toMatch(/^schedule: threads 1, prompt-chunk \d+$/m);
    const [drawn, greedy] = [await run("--verbose", ...DRAW), await run("--verbose", ...DRAW, "--top-k", "1")];
    expect(drawn.stderr).toMatch(/^schedule: ((?!decode).)*$/m);
    expect(greedy.stderr).toMatch(/^schedule: .*, decode \w+/m);
    expect((await run("--verbose", "--no-schedule")).stderr).not.toContain("schedule");
    const chosen = { ...read().chosen, residency: "streamed", memoryLimitBytes: 2 ** 30 } as const;
    change({ chosen });
    const document = JSON.parse((await run("--json")).stdout);
    expect(document.executor).toMatchObject({ threads: 1, residency: "streamed" });
  });

  test("of another machine, or of the artifact before it changed, it is left out with a note", async () => {
    const good = read();
    change({ machine: { ...good.machine, cores: 999 } });
    expect((await run("--verbose")).stderr).toMatch(/made on another machine .*999 cores.*left out/);
    change({ machine: good.machine, manifestSha256: "0".repeat(64) });
    expect((await run()).stderr).toMatch(/before it changed: left out/);
    change(good);
    const other = await run("--executor", "tfjs", "--backend", "cpu");
    expect([other.code, other.stderr]).toEqual([0, expect.stringMatching(/is for the native executor, found tfjs/)]);
  });

  test("damaged it ends run, chat and bench in one line", async () => {
    const good = readFileSync(file, "utf8");
    writeFileSync(file, good.slice(0, 100));
    for (const args of [
      ["run", artifact, "Once"],
      ["chat", artifact],
      ["bench", artifact],
    ]) {
      const { code, stderr } = await commandLine(args);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^layerwise: [^\n]*schedule\.json[^\n]*\n$/)]);
    }
    expect((await run("--no-schedule")).code).toBe(0);
    rmSync(file);
  });

  test.each([
    [["--memory-limit", "1 MiB", "--prompt-tokens", "16"], "memory limit: expected at least"],
    [["--memory-limit", "some"], "size"],
    [["--device", "fridge"], "device: expected one of"],
    [["--device", "64 MiB"], "device: expected"],
    [["--prompt-tokens", "100000"], "the context is"],
    [["--generate-tokens", "1"], "generate-tokens: expected"],
    [["--threads", "0"], "threads"],
  ])("refuses %s in one line and writes nothing", async (args, message) => {
    const { code, stderr } = await commandLine(["schedule", artifact, ...args]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(new RegExp(`^layerwise: [^\\n]*${message}[^\\n]*\\n$`))]);
    expect(() => readFileSync(file)).toThrow();
  });

  test("refuses a checkpoint", async () => {
    const { code, stderr } = await commandLine(["schedule", STORIES]);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/expected an artifact, found a checkpoint/)]);
  });
});
