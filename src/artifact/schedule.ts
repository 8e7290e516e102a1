import os from "node:os";
import path from "node:path";
import { z } from "zod";
import { nullOn } from "../errors.ts";
import { readJsonFile, writeFileAtomic } from "../formats/files.ts";
import { KvType } from "../model/kv-type.ts";
import { SCHEDULE_NAME, Sha256 } from "./manifest.ts";

const positive = z.number().int().positive();
const speed = z.number().positive();

/** What a schedule holds true for. */
const ScheduleMachine = z.strictObject({ cpu: z.string(), cores: positive, platform: z.string() });
export type ScheduleMachine = z.infer<typeof ScheduleMachine>;

/** How to run: what the options of `run` of the same names say. */
export const ScheduleSettings = z.strictObject({
  threads: positive,
  promptChunk: positive,
  kvType: KvType,
  residency: z.enum(["mapped", "memory", "streamed"]),
  /** Of streamed weights: what the process may take. */
  memoryLimitBytes: positive.nullable(),
  /** Name of a drafter, and its options. */
  decode: z.strictObject({ kind: z.string(), options: z.record(z.string(), z.union([z.number(), z.boolean()])) }),
});
export type ScheduleSettings = z.infer<typeof ScheduleSettings>;

/** Settings with what the cost model says of them. */
export const ScheduleRow = ScheduleSettings.extend({
  /** Of the process. */
  memoryBytes: positive,
  promptTokensPerSecond: speed,
  generateTokensPerSecond: speed,
  /** The text is that of plain decoding with the planned type of keys and values. */
  sameText: z.boolean(),
});
export type ScheduleRow = z.infer<typeof ScheduleRow>;

export const Schedule = z.strictObject({
  formatVersion: z.literal(1),
  toolVersion: z.string(),
  /** The artifact that it was made for, as it was then. */
  manifestSha256: Sha256,
  machine: ScheduleMachine,
  /** What it had to stay within; null: nothing. */
  memoryLimitBytes: positive.nullable(),
  /** The turn that it was made for. */
  turn: z.strictObject({ promptTokens: positive, generateTokens: positive }),
  chosen: ScheduleRow,
  /** By rising memory: nothing of less memory is faster. */
  front: z.array(ScheduleRow),
});
export type Schedule = z.infer<typeof Schedule>;

/** This machine, as far as speeds depend on it. */
export function scheduleMachine(): ScheduleMachine {
  const cpu = os.cpus()[0]?.model.trim() ?? "unknown";
  return { cpu, cores: os.availableParallelism(), platform: `${os.platform()} ${os.arch()}` };
}

/** The schedule of an artifact's folder; null where there is none. Throws UserError where it is damaged. */
export function readSchedule(folder: string): Promise<Schedule | null> {
  return nullOn("FILE_NOT_FOUND", () => readJsonFile(path.join(folder, SCHEDULE_NAME), Schedule));
}

/** Writes a schedule beside the artifact's files, in place of the one that was there. */
export async function writeSchedule(folder: string, schedule: Schedule): Promise<void> {
  await writeFileAtomic(path.join(folder, SCHEDULE_NAME), `${JSON.stringify(Schedule.parse(schedule), null, 2)}\n`);
}

/** Why a schedule says nothing here, for people; null: it does. */
export function scheduleMismatch({ manifestSha256, machine }: Schedule, artifactSha256: string): string | null {
  const file = SCHEDULE_NAME;
  if (manifestSha256 !== artifactSha256) return `${file}: was made for the artifact before it changed`;
  const here = scheduleMachine();
  const [there, now] = [machine, here].map(({ cpu, cores, platform }) => `${cpu}, ${cores} cores, ${platform}`);
  return there === now ? null : `${file}: was made on another machine (${there}; this one: ${now})`;
}
