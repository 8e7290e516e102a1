import { promises as fs } from "node:fs";
import os from "node:os";
import { z } from "zod";
import { parseJson } from "./json.ts";

/** The process that holds a lock; enough to tell whether it still lives. */
export const LockOwner = z.object({
  pid: z.number().int().positive(),
  host: z.string(),
  /** Process-number space (containers have their own); null where the system has none. */
  pidSpace: z.string().nullable(),
  /**
   * When the process began, in the kernel's ticks: numbers of dead processes are given out again. Null where unknown.
   */
  startTicks: z.string().nullable(),
});
export type LockOwner = z.infer<typeof LockOwner>;

/** This process as a lock's owner. */
export async function thisProcess(): Promise<LockOwner> {
  return {
    pid: process.pid,
    host: os.hostname(),
    pidSpace: await fs.readlink("/proc/self/ns/pid").catch(() => null),
    startTicks: (await statusOf(process.pid))?.startTicks ?? null,
  };
}

/**
 * The owner noted in a file; null where there is none, or it says nothing: a process notes itself before it takes a
 * lock, so what is half-written or damaged is of nobody who holds one. "unreadable" where it may not be looked into.
 */
export async function readOwner(file: string): Promise<LockOwner | "unreadable" | null> {
  let text: string;
  try {
    text = await fs.readFile(file, "utf8");
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "ENOENT" ? null : "unreadable";
  }
  try {
    return LockOwner.parse(parseJson(text));
  } catch {
    return null;
  }
}

/** Whether nobody here can tell if the owner lives: another machine, or another space of process numbers. */
export async function runsElsewhere(owner: LockOwner): Promise<boolean> {
  const here = await thisProcess();
  return owner.host !== here.host || owner.pidSpace !== here.pidSpace;
}

/** True only if the owner ran here and surely runs no more. */
export async function isDead(owner: LockOwner): Promise<boolean> {
  if (await runsElsewhere(owner)) return false;
  if (!exists(owner.pid)) return true;
  const found = await statusOf(owner.pid);
  if (found === null) return false;
  return ENDED.has(found.state) || (owner.startTicks !== null && owner.startTicks !== found.startTicks);
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // EPERM: it is there and belongs to somebody else.
    return !(error instanceof Error && "code" in error && error.code === "ESRCH");
  }
}

/** States of a process that has ended: its number stays taken until its parent has asked for it. */
const ENDED: ReadonlySet<string> = new Set(["Z", "X"]);

/** Fields 3 and 22 of /proc/<pid>/stat; the name before them may hold spaces and parentheses. Null without /proc. */
async function statusOf(pid: number): Promise<{ readonly state: string; readonly startTicks: string } | null> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0], startTicks: fields[19] };
}
