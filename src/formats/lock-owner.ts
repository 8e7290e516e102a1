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
    startTicks: await startTicks(process.pid),
  };
}

/** The owner noted in a file; null where there is none or it cannot be understood. */
export async function readOwner(file: string): Promise<LockOwner | null> {
  try {
    return LockOwner.parse(parseJson(await fs.readFile(file, "utf8")));
  } catch {
    return null;
  }
}

/** True only if the owner ran here and surely runs no more. */
export async function isDead(owner: LockOwner): Promise<boolean> {
  const here = await thisProcess();
  if (owner.host !== here.host || owner.pidSpace !== here.pidSpace) return false;
  if (!exists(owner.pid)) return true;
  const ticks = await startTicks(owner.pid);
  return owner.startTicks !== null && ticks !== null && owner.startTicks !== ticks;
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

/** Field 22 of /proc/<pid>/stat; the name before it may hold spaces and parentheses. A zombie counts as unknown. */
async function startTicks(pid: number): Promise<string | null> {
  const stat = await fs.readFile(`/proc/${pid}/stat`, "utf8").catch(() => null);
  if (stat === null) return null;
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return fields[19] ?? null;
}
