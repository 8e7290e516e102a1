import os from "node:os";
import { z } from "zod";

/** The machine that a measurement was taken on. */
export const Machine = z.strictObject({
  cpu: z.string(),
  cores: z.number().int().positive(),
  memoryBytes: z.number().int().positive(),
  platform: z.string(),
  node: z.string(),
});
export type Machine = z.infer<typeof Machine>;

/** This machine: CPU model, logical cores that this process may use, memory, operating system, Node version. */
export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model.trim() ?? "unknown",
    cores: os.availableParallelism(),
    memoryBytes: os.totalmem(),
    platform: `${os.platform()} ${os.release()} ${os.arch()}`,
    node: process.version,
  };
}

/** Largest resident set of this process so far, in bytes. */
export function peakRssBytes(): number {
  return process.resourceUsage().maxRSS * 1024;
}
