import { readFileSync } from "node:fs";
import os from "node:os";
import { shortBytes } from "../../size-text.ts";
import type { FreeMemory } from "./budget.ts";

/** Limits at or above this are how cgroup v1 says "none". */
const NO_LIMIT_BYTES = 2 ** 60;

/** What the reader asks of the machine; tests give their own. */
export interface MemoryFiles {
  /** Text of a small system file; null where it cannot be read. */
  readonly read: (file: string) => string | null;
  /** Free bytes as the operating system says. */
  readonly freeBytes: () => number;
}

const SYSTEM: MemoryFiles = {
  read(file) {
    try {
      return readFileSync(file, "utf8");
    } catch {
      return null;
    }
  },
  freeBytes: os.freemem,
};

/**
 * Memory that can be had now: what is available, or what the tightest cgroup (v1 or v2) still allows where that is
 * lower.
 */
export function readFreeMemory(files: MemoryFiles = SYSTEM): FreeMemory {
  const system = systemMemory(files);
  const group = cgroupMemory(files);
  return group && group.bytes < system.bytes ? group : system;
}

function systemMemory({ read, freeBytes }: MemoryFiles): FreeMemory {
  const kib = /^MemAvailable:\s+(\d+) kB$/m.exec(read("/proc/meminfo") ?? "")?.[1];
  if (kib !== undefined) return { bytes: Number(kib) * 1024, source: "MemAvailable of /proc/meminfo" };
  return { bytes: freeBytes(), source: "free memory of the operating system" };
}

/** The least room of this process's cgroups, from its own up to the root. */
function cgroupMemory({ read }: MemoryFiles): FreeMemory | null {
  const rooms = (read("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => {
    const [, controllers, group] = line.split(":");
    if (group === undefined) return [];
    if (controllers === "") return foldersUp("/sys/fs/cgroup", group).map((folder) => roomV2(folder, read));
    if (!controllers.split(",").includes("memory")) return [];
    return foldersUp("/sys/fs/cgroup/memory", group).map((folder) => roomV1(folder, read));
  });
  const known = rooms.filter((room) => room !== null);
  return known.length === 0 ? null : known.reduce((least, room) => (room.bytes < least.bytes ? room : least));
}

/** `root/a/b`, `root/a`, `root`: inside a container the group's own path is often not mounted, its root is. */
function foldersUp(root: string, group: string): string[] {
  const names = group.split("/").filter((name) => name !== "" && name !== "..");
  return names.map((_, i) => [root, ...names.slice(0, names.length - i)].join("/")).concat(root);
}

function roomV2(folder: string, read: MemoryFiles["read"]): FreeMemory | null {
  return room(folder, read(`${folder}/memory.max`), read(`${folder}/memory.current`), read(`${folder}/memory.stat`));
}

function roomV1(folder: string, read: MemoryFiles["read"]): FreeMemory | null {
  const limit = read(`${folder}/memory.limit_in_bytes`);
  return room(folder, limit, read(`${folder}/memory.usage_in_bytes`), read(`${folder}/memory.stat`));
}

/** Limit less use; file pages that the kernel can drop at once do not count as used. */
function room(
  folder: string,
  limitText: string | null,
  usedText: string | null,
  stat: string | null,
): FreeMemory | null {
  if (limitText === null || usedText === null || !/^\d+$/.test(limitText.trim())) return null;
  const limitBytes = Number(limitText);
  if (limitBytes >= NO_LIMIT_BYTES) return null;
  const droppable = Number(/^(?:total_)?inactive_file (\d+)$/m.exec(stat ?? "")?.[1] ?? 0);
  const usedBytes = Math.max(0, Number(usedText) - droppable);
  const source = `cgroup ${folder}: limit ${shortBytes(limitBytes)}, ${shortBytes(usedBytes)} in use`;
  return { bytes: Math.max(0, limitBytes - usedBytes), source };
}
