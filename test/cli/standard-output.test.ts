import fs from "node:fs";
import path from "node:path";
import { PassThrough } from "node:stream";
import { afterEach, describe, expect, test, vi } from "vitest";
import { writeWholly } from "../../src/cli/standard-output.ts";
import { temporaryFolder } from "../formats/temporary-folder.ts";
import { STORIES } from "../support/fixtures.ts";
import { NOT_BUILT, needsBuild, shell } from "./command-line.ts";

const folder = temporaryFolder();
const FULL = "/dev/full";
const CANNOT = NOT_BUILT ?? (fs.existsSync(FULL) ? null : `${FULL} is absent`);
const PLAN = `plan ${STORIES} --recipe uniform --context 128`;

afterEach(() => {
  vi.restoreAllMocks();
});

describe.skipIf(CANNOT)(needsBuild("stdout-full-rc0: output that was not written is an error"), () => {
  test.each([
    "--help",
    "--version",
    "run --help",
    `inspect ${STORIES}`,
    `inspect ${STORIES} --json`,
    "inspect /nowhere --json",
    `${PLAN} --budget '8 MiB'`,
    `${PLAN} --sweep 3 --csv`,
    `run ${STORIES} Once --max-tokens 2`,
    `run ${STORIES} Once --max-tokens 2 --json`,
  ])("%s", async (command) => {
    const { code, stderr } = await shell(`$LAYERWISE ${command} > ${FULL}`);
    expect(stderr).toMatch(/layerwise: standard output: cannot write: the disk is full\n$/);
    expect(code).toBe(1);
  });

  test("a message that cannot be written takes nothing of the result, nor of the status", async () => {
    const done = await shell(`$LAYERWISE run ${STORIES} Once --max-tokens 2 2> ${FULL}`);
    expect(done).toMatchObject({ code: 0, stdout: expect.stringMatching(/\S/) });
    expect(await shell(`$LAYERWISE inspect /nowhere 2> ${FULL}`)).toMatchObject({ code: 1, stdout: "" });
  });

  test("a reader that goes away ends a command quietly, one of its messages not at all", async () => {
    const run = `$LAYERWISE run ${STORIES} Once --max-tokens 200`;
    expect(await shell(`set -o pipefail; ${run} 2>&1 | head -c 1`)).toMatchObject({ code: 0, stderr: "" });
    const unread = await shell(`exec 3>&1; set -o pipefail; { sleep 0.2; ${run} 2>&1 >&3; } | true`);
    expect(unread).toMatchObject({ code: 0, stdout: expect.stringMatching(/\w{3}/) });
  });
});

test("a write that the disk takes half of is continued", async () => {
  const file = path.join(folder, "out");
  const fd = fs.openSync(file, "w");
  const writeSync = fs.writeSync;
  const half = (at: number, bytes: Uint8Array, from: number) =>
    writeSync(at, bytes, from, Math.ceil((bytes.length - from) / 2));
  vi.spyOn(fs, "writeSync").mockImplementation(half as typeof fs.writeSync);
  const stream = Object.assign(new PassThrough(), { fd, isTTY: false });
  writeWholly(stream as unknown as typeof process.stdout & { fd: number });
  await new Promise((resolve) => stream.write("0123456789", resolve));
  fs.closeSync(fd);
  expect(fs.readFileSync(file, "utf8")).toBe("0123456789");
});
