import { cpSync, truncateSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { generate } from "../../src/decoding/generate.ts";
import { openModel } from "../../src/decoding/open-model.ts";
import { makeStoriesWithExits } from "../decoding/artifact-with-exits.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { HAS_ADDON, needsAddon } from "../runtime/native/addon-state.ts";
import { STORIES } from "../support/fixtures.ts";
import { commandLine } from "./command-line.ts";

const root = temporaryFolder();
const artifact = path.join(root, "stories");
const run = (...args: string[]) => commandLine(["run", artifact, "Once upon a", "--max-tokens", "16", ...args]);

describe.skipIf(!HAS_ADDON)(needsAddon("run with weights in other places"), () => {
  beforeAll(() => makeStoriesWithExits(artifact));

  test.each([[], ["--decode", "plain"], ["--decode", "early-exit"], ["--decode", "vote"], ["--temperature", "1"]])(
    "gives the same text mapped, in memory and streamed: %s %s",
    async (...args) => {
      const mapped = await run(...args, "--residency", "mapped");
      expect(mapped.code).toBe(0);
      expect(mapped.stdout.length).toBeGreaterThan(10);
      for (const place of ["memory", "streamed"]) {
        expect((await run(...args, "--residency", place)).stdout).toBe(mapped.stdout);
      }
    },
  );

  test("takes a memory limit: all of it, a part or none of the weights stays", async () => {
    const whole = await run();
    const documentOf = async (limit: string) => JSON.parse((await run("--memory-limit", limit, "--json")).stdout);
    const least = Number(
      /least [\d.]+ MiB \(([\d,]+) bytes/.exec((await run("--memory-limit", "1 MiB")).stderr)?.[1].replaceAll(",", ""),
    );
    const streamed = await documentOf(`${least} B`);
    expect([streamed.executor.residency, streamed.text]).toEqual(["streamed", whole.stdout]);
    expect(streamed.executor.streamed.tokenBytes).toBeGreaterThan(0);
    const mapped = await documentOf("1 GiB");
    expect([mapped.executor.residency, mapped.text]).toEqual(["packed", whole.stdout]);
  });

  test.each([
    [["--memory-limit", "1 MiB"], "memory limit: expected at least .* for weights streamed .* found 1.00 MiB"],
    [["--memory-limit", "64"], "size .*expected a unit"],
    [["--memory-limit", "lots"], "size"],
    [
      ["--residency", "streamed", "--executor", "tfjs"],
      "weights streamed: expected an executor that streams, found tfjs",
    ],
  ])("refuses in one line %s", async (args, message) => {
    const { code, stderr, stdout } = await run(...args);
    expect([code, stdout]).toEqual([1, ""]);
    expect(stderr).toMatch(new RegExp(`^layerwise: .*${message}.*\n$`));
  });

  test("refuses them for a checkpoint", async () => {
    for (const args of [
      ["--residency", "streamed"],
      ["--memory-limit", "1 GiB"],
    ]) {
      const { code, stderr } = await commandLine(["run", STORIES, "Once", ...args]);
      expect(code).toBe(1);
      expect(stderr).toMatch(/^layerwise: .*expected an artifact, found a checkpoint.*\n$/);
    }
  });

  test("a file that is cut short while it is streamed ends the text with one line, and no other token", async () => {
    const copy = path.join(root, "copy");
    cpSync(artifact, copy, { recursive: true });
    await using model = await openModel(copy, { executor: "native", weights: "streamed" });
    const place = model.artifact?.placeOf("blocks.1.mlp.down") ?? expect.fail("no artifact");
    using session = model.createSession();
    const said: string[] = [];
    const failed = (async () => {
      const prompt = model.tokenizer.encode("Once upon a");
      for await (const { text } of generate(session, model.tokenizer, prompt, { maxTokens: 16 })) {
        said.push(text);
        if (said.length === 3) truncateSync(place.file, place.offset);
      }
    })();
    await expect(failed).rejects.toMatchObject({
      code: "FILE_TRUNCATED",
      message: expect.stringMatching(
        /weights-00001-of-00001.safetensors: expected at least \d+ bytes as long as it is open, found \d+$/,
      ),
    });
    expect((await run()).stdout.startsWith(said.join(""))).toBe(true);
  });
});
