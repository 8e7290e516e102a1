import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readdir, utimes, writeFile } from "node:fs/promises";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { UserError } from "../../src/errors.ts";
import { lockFolder } from "../../src/formats/lock.ts";
import { type LockOwner, thisProcess } from "../../src/formats/lock-owner.ts";
import { temporaryFolder } from "./temporary-folder.ts";

const root = temporaryFolder();

/** A folder as a process leaves it that was killed, or goes on: a lock, and files beside it. */
async function lockedFolder(files: Readonly<Record<string, string>>): Promise<string> {
  const folder = await mkdtemp(path.join(root, "run-"));
  await mkdir(path.join(folder, ".lock"));
  for (const [name, text] of Object.entries(files)) await writeFile(path.join(folder, name), text);
  return folder;
}

async function note(changes: Partial<LockOwner>): Promise<string> {
  return JSON.stringify({ ...(await thisProcess()), ...changes });
}

async function refusal(folder: string): Promise<UserError> {
  const error = await lockFolder(folder).then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof UserError)) throw new Error(`expected a refusal, found ${String(error)}`);
  return error;
}

/** Takes the lock and lets it go; the names that are left. */
async function use(folder: string): Promise<string[]> {
  const lock = await lockFolder(folder);
  lock.assertHeld();
  expect(existsSync(path.join(folder, ".owner.json"))).toBe(true);
  await lock.release();
  return readdir(folder);
}

/** The number of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.on("exit", resolve));
  return child.pid ?? 0;
}

describe("lock-without-owner: a lock that no living process holds is taken over at once", () => {
  test.each([
    ["without a note", {}],
    ["with a note that says nothing", { ".owner.json": "" }],
    ["with half a note", { ".owner-1-ab.json": '{"pid": 1, "ho' }],
  ])("%s", async (_, files) => {
    const began = performance.now();
    expect(await use(await lockedFolder(files))).toEqual([]);
    expect(performance.now() - began).toBeLessThan(2000);
  });

  test.each([".owner.json", ".owner-77-0123abcd.json"])("of a killed process, noted in %s", async (name) => {
    expect(await use(await lockedFolder({ [name]: await note({ pid: await deadPid() }) }))).toEqual([]);
  });

  test.runIf(existsSync("/proc/self/stat"))("of a killed process that nobody has asked for yet", async () => {
    // The parent becomes another program, which never asks for its children.
    const parent = spawn("sh", ["-c", "sleep 60 & echo $!; exec sleep 60"]);
    try {
      const pid = Number(await new Promise((resolve) => parent.stdout.once("data", resolve)));
      const folder = await lockedFolder({ ".owner.json": await note({ pid, startTicks: null }) });
      await refusal(folder);
      process.kill(pid, "SIGKILL");
      await expect.poll(() => use(folder), { timeout: 2000 }).toEqual([]);
    } finally {
      parent.kill("SIGKILL");
    }
  });

  test.runIf(existsSync("/proc/self/stat"))("of a process whose number another one has now", async () => {
    for (const name of [".owner.json", ".owner-1-ab.json"]) {
      await use(await lockedFolder({ [name]: await note({ startTicks: "1" }) }));
    }
  });

  test("by one of several who want it", async () => {
    const folder = await lockedFolder({ ".owner.json": await note({ pid: await deadPid() }) });
    const all = await Promise.allSettled(Array.from({ length: 6 }, () => lockFolder(folder)));
    const held = all.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
    expect(held).toHaveLength(1);
    expect(await refusal(folder)).toMatchObject({ message: expect.stringContaining(`process ${process.pid} on `) });
    await held[0].release();
    expect(await use(folder)).toEqual([]);
  });

  test("also where one was killed who took it over", async () => {
    const folder = await lockedFolder({});
    const takeover = path.join(folder, ".takeover");
    await mkdir(takeover);
    const before = new Date(Date.now() - 6000);
    await utimes(takeover, before, before);
    expect(await use(folder)).toEqual([]);
  });
});

describe("lock-without-owner: a lock that somebody may hold", () => {
  test("of a process that has it since this moment is its own", async () => {
    const folder = await lockedFolder({ ".owner-1-ab.json": await note({}) });
    expect((await refusal(folder)).message).toContain(`process ${process.pid} on `);
    expect((await readdir(folder)).sort()).toEqual([".lock", ".owner-1-ab.json"]);
  });

  test.each([
    ["another machine", { host: "elsewhere" }],
    ["another container", { pidSpace: "pid:[1]" }],
  ])("of %s: says until when, and is free then", async (_, elsewhere) => {
    const folder = await lockedFolder({ ".owner.json": await note({ ...elsewhere, pid: await deadPid() }) });
    const seen = new Date("2031-01-01T00:00:00Z");
    await utimes(path.join(folder, ".lock"), seen, seen);
    expect(await refusal(folder)).toMatchObject({
      code: "RUN_FOLDER_LOCKED",
      hint: "wait for that run to end, if it has ended wait until 2031-01-01T00:02:00Z, when its lock is taken over, or choose another folder",
    });
    const longAgo = new Date(Date.now() - 130_000);
    await utimes(path.join(folder, ".lock"), longAgo, longAgo);
    expect(await use(folder)).toEqual([]);
  });

  test("of a living process of this machine names no time: it shows signs of life", async () => {
    const { hint } = await refusal(await lockedFolder({ ".owner.json": await note({}) }));
    expect(hint).toBe("wait for that run to end, or choose another folder");
  });
});
