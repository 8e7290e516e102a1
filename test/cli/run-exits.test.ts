import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { makeStoriesWithExits } from "../decoding/artifact-with-exits.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { HAS_ADDON, needsAddon } from "../runtime/native/addon-state.ts";
import { STORIES } from "../support/fixtures.ts";
import { commandLine, HAS_SCRIPT, NOT_BUILT, needsBuild, needsScript, shell } from "./command-line.ts";

const folder = path.join(temporaryFolder(), "stories");
const PROMPT = "Once upon a time";
const LITTLE = ["--max-tokens", "10", "--threads", "1"];
const kind = HAS_ADDON ? "native" : "tfjs";

async function run(...args: string[]) {
  return commandLine(["run", folder, PROMPT, ...LITTLE, "--executor", kind, ...args]);
}

async function document(...args: string[]) {
  return JSON.parse((await run("--json", ...args)).stdout);
}

describe("run with exits", () => {
  beforeAll(async () => {
    await makeStoriesWithExits(folder);
  });

  it("--decode dssd says what plain decoding says, and counts what was drafted", async () => {
    const plain = await document("--decode", "plain");
    const dssd = await document("--decode", "dssd", "--no-adapt", "--draft-limit", "3");
    expect(dssd.text).toBe(plain.text);
    expect(dssd.ids).toEqual(plain.ids);
    expect(plain).toMatchObject({ decode: { kind: "plain" }, statistics: { decoding: { kind: "plain" } } });
    expect(dssd.decode).toEqual({ kind: "dssd", epsilon: 0.8, draftLimit: 3, firstExit: 1, adapt: false });
    const { drafted, accepted, wasted, meanBlocks, kind: decoder } = dssd.statistics.decoding;
    expect(decoder).toBe("dssd");
    expect(drafted).toBeGreaterThan(0);
    expect(accepted + wasted).toBe(drafted);
    expect(dssd.depths).toHaveLength(10);
    expect(meanBlocks).toBeCloseTo(dssd.depths.reduce((sum: number, depth: number) => sum + depth, 0) / 10, 9);
  });

  it.skipIf(!HAS_ADDON)(needsAddon("takes DSSD by itself where it is lossless for certain"), async () => {
    expect((await document()).decode).toMatchObject({ kind: "dssd", firstExit: expect.any(Number), adapt: true });
    expect((await document("--temperature", "1")).decode).toEqual({ kind: "plain" });
  });

  it("--show-exits marks the tokens of exits, and says what the marks mean", async () => {
    const { stdout, stderr } = await run("--decode", "early-exit", "--show-exits");
    expect(stdout).toMatch(/[₁₂]/);
    expect(stderr).toMatch(/^exits: ₁ after 1 blocks \d+ %, ₂ after 2 blocks \d+ %, unmarked all 5 blocks \d+ %$/m);
    const plain = await run("--decode", "early-exit");
    expect(stdout.replace(/[₁₂]/g, "")).toBe(plain.stdout);
    const json = await document("--decode", "early-exit", "--show-exits");
    expect(json.text).toBe(plain.stdout);
    expect(json.depths.some((depth: number) => depth < 5)).toBe(true);
  });

  it("--verbose says how tokens came about", async () => {
    const dssd = await run("--decode", "dssd", "--no-adapt", "--verbose");
    expect(dssd.stderr).toMatch(
      /^decoding: dssd, \d+ drafted, \d+ accepted, \d+ wasted, \d+ shared passes, \d+ plain rounds, mean depth [\d.]+ blocks$/m,
    );
    const early = await run("--decode", "early-exit", "--verbose");
    expect(early.stderr).toMatch(/^decoding: early-exit, \d+ shared passes, mean depth [\d.]+ blocks$/m);
    expect((await run("--decode", "plain", "--verbose")).stderr).not.toMatch(/^decoding/m);
  });

  it("chat decodes with them, turn after turn", async () => {
    const input = "Once upon a time\nThe dog\n";
    const chat = async (...args: string[]) => {
      const line = ["chat", folder, "--raw", ...LITTLE, "--executor", kind, "--json", ...args];
      return JSON.parse((await commandLine(line, input)).stdout);
    };
    const plain = await chat("--decode", "plain");
    const dssd = await chat("--decode", "dssd", "--no-adapt");
    const textsOf = ({ turns }: { turns: { text: string }[] }) => turns.map(({ text }) => text);
    expect(textsOf(dssd)).toEqual(textsOf(plain));
    expect(dssd.decode).toMatchObject({ kind: "dssd", adapt: false });
    for (const { depths, statistics } of dssd.turns) {
      expect(depths).toHaveLength(10);
      expect(statistics.decoding.drafted).toBeGreaterThan(0);
    }
  });

  it.skipIf(NOT_BUILT !== null || !HAS_SCRIPT)(
    needsBuild(needsScript("--show-exits colours at a terminal, in one legend")),
    async () => {
      const line = `$LAYERWISE run ${folder} Once ${LITTLE.join(" ")} --executor ${kind} --decode early-exit --show-exits`;
      const { stdout } = await shell(`env -u NO_COLOR script -qec "${line}" /dev/null`);
      expect(stdout).toContain("\u001b[32m");
      expect(stdout).toMatch(/exits: .*green.* after 1 blocks \d+ %, .*cyan.* after 2 blocks \d+ %/);
    },
  );

  it("refuses in one line what cannot be", async () => {
    const none = await commandLine(["run", STORIES, PROMPT, ...LITTLE, "--executor", "tfjs", "--decode", "dssd"]);
    expect(none).toMatchObject({ code: 1, stdout: "" });
    expect(none.stderr).toBe(
      `layerwise: ${STORIES}: expected early exits, found none (a checkpoint has none: compress it, then layerwise exits makes them; --decode plain needs none)\n`,
    );
    const strict = await run("--epsilon", "0.99");
    expect(strict).toMatchObject({ code: 1, stdout: "" });
    expect(strict.stderr).toBe(
      "layerwise: epsilon: expected a number from 0 to 0.95, found 0.99 (the exits were calibrated for 0.8, 0.95)\n",
    );
  });
});
