import { existsSync } from "node:fs";

/** Whether this system has a file to which nothing can be written: the disk is full. */
export const HAS_FULL_DISK = existsSync("/dev/full");

/** Name of a test that needs it: where it is skipped the one line that says why. */
export function needsFullDisk(name: string): string {
  return HAS_FULL_DISK ? name : `${name} (skipped: /dev/full is absent)`;
}
