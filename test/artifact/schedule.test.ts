import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { SCHEDULE_NAME } from "../../src/artifact/manifest.ts";
import { readManifest } from "../../src/artifact/reader.ts";
import {
  readSchedule,
  type Schedule,
  scheduleMachine,
  scheduleMismatch,
  writeSchedule,
} from "../../src/artifact/schedule.ts";
import { verifyArtifact } from "../../src/artifact/verify.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { folderHashes, makeArtifact } from "./make-artifact.ts";

const base = temporaryFolder();
const folder = path.join(base, "tiny");
const file = path.join(folder, SCHEDULE_NAME);

async function schedule(): Promise<Schedule> {
  const { manifestSha256 } = await readManifest(folder);
  const chosen: Schedule["chosen"] = {
    ...{ threads: 1, promptChunk: 64, kvType: "f16", residency: "streamed", memoryLimitBytes: 2 ** 27 },
    ...{ decode: { kind: "plain", options: {} }, memoryBytes: 2 ** 26, sameText: true },
    ...{ promptTokensPerSecond: 10, generateTokensPerSecond: 5 },
  };
  return {
    ...{ formatVersion: 1, toolVersion: "0", manifestSha256, machine: scheduleMachine(), memoryLimitBytes: null },
    ...{ turn: { promptTokens: 4, generateTokens: 4 }, chosen, front: [chosen] },
  };
}

describe("schedule.json", () => {
  beforeAll(async () => {
    await makeArtifact(base, "tiny");
  });

  test("is written beside the artifact, which stays what it was, and read back", async () => {
    expect(await readSchedule(folder)).toBeNull();
    const before = folderHashes(folder);
    await writeSchedule(folder, await schedule());
    expect(await readSchedule(folder)).toEqual(await schedule());
    const { [SCHEDULE_NAME]: _, ...others } = folderHashes(folder);
    expect(others).toEqual(before);
    expect(await verifyArtifact(folder)).toEqual([]);
  });

  test("holds on the machine and for the artifact that it was made for", async () => {
    const made = await schedule();
    expect(scheduleMismatch(made, made.manifestSha256)).toBeNull();
    const other = { ...made, machine: { ...made.machine, cpu: "another processor" } };
    expect(scheduleMismatch(other, made.manifestSha256)).toMatch(/another machine \(another processor, .*this one: /);
    expect(scheduleMismatch(made, "0".repeat(64))).toMatch(/before it changed/);
  });

  test.each([
    ["cut short", (text: string) => text.slice(0, 200)],
    ["of another form", (text: string) => text.replace('"threads": 1', '"threads": 0')],
    ["with a field that nobody knows", (text: string) => text.replace("{", '{"more": 1,')],
    ["of a later version", (text: string) => text.replace('"formatVersion": 1', '"formatVersion": 2')],
    ["empty", () => ""],
  ])("%s is refused in one line, and verify finds it", async (_, damage) => {
    await writeSchedule(folder, await schedule());
    writeFileSync(file, damage(readFileSync(file, "utf8")));
    const failure = await readSchedule(folder).catch((error: Error) => error);
    expect(failure).toMatchObject({
      name: "UserError",
      message: expect.stringMatching(/^[^\n]*schedule\.json[^\n]*$/),
    });
    expect(await verifyArtifact(folder)).toEqual([expect.stringContaining("schedule.json")]);
  });
});
