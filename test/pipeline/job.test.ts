import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import type { Tokenizer } from "../../src/model/tokenizer.ts";
import { loadTokenizer } from "../../src/model/tokenizer.ts";
import { Job, type Step } from "../../src/pipeline/job.ts";
import { parseRecipe } from "../../src/pipeline/recipe.ts";
import { openRunFolder, peek, type StepReport } from "../../src/pipeline/run-folder.ts";
import { tinySpec } from "../artifact/tiny-source.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";

const base = temporaryFolder();
const Text = z.strictObject({ text: z.string(), note: z.string().default("") });
type Text = z.infer<typeof Text>;

let tokenizer: Tokenizer;
beforeAll(async () => {
  tokenizer = await loadTokenizer("examples/stories260k");
});

/** A job in a folder of that name, and the steps that it reported. */
async function withJob<T>(name: string, use: (job: Job, steps: StepReport[]) => Promise<T>, device?: string) {
  const steps: StepReport[] = [];
  const onStep = (step: StepReport) => steps.push(step);
  const run = await openRunFolder(path.join(base, name), { toolVersion: "1", onStep });
  const recipe = parseRecipe("{ name: x, calibration: { sources: [{ path: a.txt, tokens: 8 }] } }", "x.yaml");
  const options = { recipe, calibration: [], executor: "auto" as const, backend: "auto" as const };
  try {
    return await use(new Job({ run, options, spec: tinySpec(false), tokenizer, device, origin: null }), steps);
  } finally {
    await run.close();
  }
}

/** A step whose result is a text that follows from `from` and what the others gave. */
function step(name: string, from: () => string, needs: readonly Step<Text>[] = [], more: Partial<Step<Text>> = {}) {
  const made: Step<Text> = {
    name,
    schema: Text,
    async inputs(job) {
      for (const each of needs) await job.get(each);
      return { from: from() };
    },
    async compute(job) {
      const texts = await Promise.all(needs.map(async (each) => (await job.get(each)).value.text));
      return { text: [from(), ...texts].join("+"), note: "" };
    },
    ...more,
  };
  return made;
}

const computed = (steps: readonly StepReport[]) => steps.filter(({ cached }) => !cached).map(({ name }) => name);

/** Gets a step in a job of its own; the names of what was computed. */
const computedFor = (folder: string, wanted: Step<Text>, device?: string) =>
  withJob(
    folder,
    async (job, steps) => {
      await job.get(wanted);
      return computed(steps);
    },
    device,
  );

describe("getting a step", () => {
  it("gets what it needs first, each once in a job, and none again where nothing changed", async () => {
    let letter = "a";
    const first = step("first", () => letter);
    const second = step("second", () => "b", [first]);
    const third = step("third", () => "c", [first, second]);
    const names = () =>
      withJob("order", async (job, steps) => {
        expect((await job.get(third)).value.text).toBe(`c+${letter}+b+${letter}`);
        expect(await job.get(third)).toBe(await job.get(third));
        expect(steps.map(({ name }) => name)).toEqual(["first", "second", "third"]);
        return computed(steps);
      });
    expect(await names()).toEqual(["first", "second", "third"]);
    expect(await names()).toEqual([]);
    letter = "z";
    expect(await names()).toEqual(["first", "second", "third"]);
  });

  it("keeps what uses a result that names its contents and came out the same", async () => {
    let from = "1";
    const first = step("first", () => from, [], {
      id: ({ text }) => text,
      compute: async () => ({ text: "same", note: from }),
    });
    const second = step("second", () => "b", [first]);
    const names = () => computedFor("contents", second);
    expect(await names()).toEqual(["first", "second"]);
    from = "2";
    expect(await names()).toEqual(["first"]);
  });

  it("keeps what uses a part of a result where another part changed", async () => {
    let note = "1";
    const first = step("first", () => note, [], { compute: async () => ({ text: "a", note }) });
    const second = step("second", () => "b", [], {
      async inputs(job) {
        expect(await job.askPart(first, "text", ({ text }) => text)).toBe("a");
        return {};
      },
    });
    const names = () => computedFor("parts", second);
    expect(await names()).toEqual(["first", "second"]);
    note = "2";
    expect(await names()).toEqual(["first"]);
  });

  it("is refused where a step waits for itself", async () => {
    const first: Step<Text> = step("first", () => "a", [], { inputs: async (job) => ({ x: await job.get(second) }) });
    const second: Step<Text> = step("second", () => "b", [first]);
    await withJob("circle", (job) =>
      expect(job.get(first)).rejects.toThrow("step first needs itself: first > second > first"),
    );
  });
});

describe("what several steps need", () => {
  it("is made once, and the steps behind it are in the key of each", async () => {
    let letter = "a";
    let times = 0;
    const first = step("first", () => letter);
    const shared = async (job: Job) => {
      times++;
      return (await job.get(first)).value.text;
    };
    const inputs = async (job: Job) => {
      await job.once(shared);
      return {};
    };
    const users = ["left", "right"].map((name) => step(name, () => "", [], { inputs }));
    const names = () =>
      withJob("once", async (job, steps) => {
        for (const user of users) await job.get(user);
        return computed(steps);
      });
    expect(await names()).toEqual(["first", "left", "right"]);
    expect(times).toBe(1);
    letter = "z";
    expect(await names()).toEqual(["first", "left", "right"]);
  });
});

describe("asking for a step", () => {
  it("gives null where the recipe has none, or the job", async () => {
    const unwanted = step("unwanted", () => "a", [], { wanted: ({ exits }) => exits !== undefined });
    const given = step("given", () => "b");
    await withJob("asked", async (job, steps) => {
      expect(await job.ask(unwanted)).toBeNull();
      job.give(given, null);
      expect(await job.ask(given)).toBeNull();
      await expect(job.get(given)).rejects.toThrow("given: expected a result");
      expect(steps).toEqual([]);
    });
  });

  it("gives what was put in its place, under the same name as if it had been made", async () => {
    const first = step("first", () => "a", [], { id: ({ text }) => text });
    const second = step("second", () => "b", [first]);
    const names = (given: Text | null) =>
      withJob("given", async (job, steps) => {
        if (given) job.give(first, given);
        await job.get(second);
        return computed(steps);
      });
    expect(await names(null)).toEqual(["first", "second"]);
    expect(await names({ text: "a", note: "given" })).toEqual([]);
    expect(await names({ text: "other", note: "" })).toEqual(["second"]);
  });
});

describe("what is there", () => {
  it("is what this job has got, or what any has left in the run folder", async () => {
    const first = step("first", () => "a");
    const folder = path.join(base, "there");
    expect(await peek(folder, first)).toBeNull();
    await withJob("there", async (job) => {
      expect(await job.got(first)).toBeNull();
      await job.get(first);
      expect(await job.got(first)).toEqual({ text: "a", note: "" });
    });
    expect(await peek(folder, first)).toEqual({ text: "a", note: "" });
    await withJob("there", async (job) => expect(await job.got(first)).toBeNull());
  });

  it("is each device's own where a step is", async () => {
    const shared = step("shared", () => "a");
    const own = step("own", () => "b", [shared], { perDevice: true });
    const names = (device: string) => computedFor("devices", own, device);
    expect(await names("phone")).toEqual(["shared", "own-phone"]);
    expect(await names("board")).toEqual(["own-board"]);
    expect(await names("phone")).toEqual([]);
  });
});
