import { cpSync, existsSync, readFileSync, statSync, utimesSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { Interrupted } from "../../src/errors.ts";
import { compress } from "../../src/pipeline/compress.ts";
import type { OnProgress, WorkOptions } from "../../src/progress.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { exampleOptions } from "./example-job.ts";

const base = temporaryFolder();
const TEXT = path.resolve("calibration-data/tinystories-calibration.txt");

/** A library of two codecs, and the checkpoint again for the guard. */
const LIBRARY = `
name: x
calibration: { sources: [{ path: a.txt, tokens: 128 }], sequenceTokens: 32 }
plan: { allocator: uniform, codecs: [q8s-g32, q4s-g32], embedding: 8 bits }
quantize: { quantizer: weighted }
guard: { tokens: 32 }
`;

/** Packed as the artifact is written. */
const ROUNDED = LIBRARY.slice(0, LIBRARY.indexOf("quantize:"));

interface Run {
  readonly checkpoint: string;
  readonly text: string;
  readonly out: string;
}

let runs = 0;

function newRun(): Run {
  const folder = path.join(base, `run-${++runs}`);
  const run = { checkpoint: path.join(folder, "model"), text: path.join(folder, "text.txt"), out: `${folder}/out` };
  cpSync(path.resolve("examples/stories260k"), run.checkpoint, { recursive: true });
  writeFileSync(run.text, readFileSync(TEXT, "utf8").slice(0, 20_000));
  return run;
}

function make({ text, ...run }: Run, work: WorkOptions = {}, recipe = LIBRARY) {
  return compress(exampleOptions(recipe, { ...run, ...work, calibration: [{ path: text, tokens: 128 }] }));
}

const weightsOf = ({ checkpoint }: Run) => path.join(checkpoint, "model.safetensors");

/** Flips the low bits of some weights, with the same size and the old time; twice is never. */
function flip(run: Run): void {
  const file = weightsOf(run);
  const { atime, mtime } = statSync(file);
  const bytes = readFileSync(file);
  for (let at = 400_000; at < bytes.length; at += 4) bytes[at] ^= 1;
  writeFileSync(file, bytes);
  utimesSync(file, atime, mtime);
}

/** Acts at the first report of a stage. */
function at(stage: string, act: () => void): OnProgress {
  let done = false;
  return (progress) => {
    if (done || progress.stage !== stage) return;
    done = true;
    act();
  };
}

const artifactOf = ({ out }: Run) => readFileSync(`${out}/artifact/manifest.json`).toString();

const changed = (file: string) => ({ code: "SOURCE_CHANGED", message: expect.stringContaining(`${file}: `) });

/** Stages in which the checkpoint is read. */
const STAGES = ["checking weights", "packing", "quantizing"];

describe("weights-changed-during-compress", () => {
  const undisturbed = newRun();

  beforeAll(async () => {
    const seen = new Set<string>();
    await make(undisturbed, { onProgress: ({ stage }) => seen.add(stage) });
    expect([...seen]).toEqual(expect.arrayContaining(STAGES));
  });

  test.each(STAGES)(
    "at %s: refused, and with the old weights back the bytes are those of the old weights",
    async (stage) => {
      const run = newRun();
      const making = make(run, { onProgress: at(stage, () => flip(run)) });
      await expect(making).rejects.toMatchObject(changed(weightsOf(run)));
      expect(existsSync(`${run.out}/artifact`)).toBe(false);
      flip(run);
      await make(run);
      expect(artifactOf(run)).toBe(artifactOf(undisturbed));
    },
  );

  test.each(["packing"])("at %s, put back at once: what was read may be of both", async (stage) => {
    const run = newRun();
    const twice = () => {
      flip(run);
      flip(run);
    };
    await expect(make(run, { onProgress: at(stage, twice) })).rejects.toMatchObject(changed(weightsOf(run)));
    await make(run);
    expect(artifactOf(run)).toBe(artifactOf(undisturbed));
  });

  test("and the run is stopped: what it has done so far is not gone on with", async () => {
    const run = newRun();
    const stop = new AbortController();
    const onProgress: OnProgress = ({ stage, done }) => {
      if (stage !== "quantizing") return;
      if (done === 1) flip(run);
      if (done === 30) stop.abort();
    };
    await expect(make(run, { onProgress, signal: stop.signal }, ROUNDED)).rejects.toBeInstanceOf(Interrupted);
    flip(run);
    await make(run, {}, ROUNDED);
    const other = newRun();
    await make(other, {}, ROUNDED);
    expect(artifactOf(run)).toBe(artifactOf(other));
  });

  test("a tokenizer file that changes is not copied", async () => {
    const run = newRun();
    const file = path.join(run.checkpoint, "tokenizer.json");
    const onProgress = at("quantizing", () => writeFileSync(file, `${readFileSync(file, "utf8")} `));
    await expect(make(run, { onProgress })).rejects.toMatchObject(changed(file));
    expect(existsSync(`${run.out}/artifact`)).toBe(false);
  });

  test("a config that changes is not that of the model: what was read first is", async () => {
    const run = newRun();
    const file = path.join(run.checkpoint, "config.json");
    const onProgress = at("quantizing", () => writeFileSync(file, "{}"));
    await make(run, { onProgress });
    expect(artifactOf(run)).toBe(artifactOf(undisturbed));
  });
});
