import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeStories } from "../decoding/artifact-with-exits.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { commandLine } from "./command-line.ts";

const folder = temporaryFolder();
const TFJS = ["--executor", "tfjs", "--backend", "cpu"];
const DRAWN = ["--temperature", "0.8"];

/** Overwrites every third of the first 40,000 bytes of the weights: scales of the embedding become NaN. */
function damage(): void {
  const [first] = readdirSync(folder)
    .filter((name) => name.startsWith("weights-"))
    .sort();
  const file = path.join(folder, first);
  const bytes = readFileSync(file);
  const from = 8 + Number(bytes.readBigUInt64LE(0));
  for (let at = from; at < from + 40_000; at += 3) bytes[at] = 0xff;
  writeFileSync(file, bytes);
}

beforeAll(async () => {
  await makeStories(folder);
  damage();
});

describe("weights-nan: an artifact with damaged scales", () => {
  it.each([
    ["run", ["run", folder, "Once upon", "--max-tokens", "4"]],
    ["run, drawn", ["run", folder, "Once upon", "--max-tokens", "4", ...DRAWN]],
    ["run on tfjs", ["run", folder, "Once upon", "--max-tokens", "4", ...TFJS]],
    ["run on tfjs, drawn", ["run", folder, "Once upon", "--max-tokens", "4", ...TFJS, ...DRAWN]],
    ["chat", ["chat", folder, "--raw"]],
    ["bench", ["bench", folder, "--prompt-tokens", "8", "--generate-tokens", "4"]],
    ["eval", ["eval", folder, "--text", "calibration-data/tinystories-heldout.txt", "--windows", "1"]],
  ])("is one line that says where and what to do, and status 1: %s", async (_, args) => {
    const { code, stderr } = await commandLine(args, "Once upon\n");
    expect(stderr).toContain(
      "layerwise: embedding: expected finite numbers, found NaN or infinity (the weights are damaged, or too large for f32: check them with `layerwise verify`)\n",
    );
    expect(stderr).not.toContain("    at ");
    expect(code).toBe(1);
  });
});
