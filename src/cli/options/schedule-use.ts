import path from "node:path";
import type { Argv } from "yargs";
import type { Schedule, ScheduleSettings } from "../../artifact/schedule.ts";
import { flagOf } from "../../decoding/drafters/drafter.ts";
import { type DecodeKind, OPTION_SCHEMAS } from "../../decoding/drafters/index.ts";
import { drawsTokens, type SamplerOptions } from "../../decoding/sampler.ts";
import { nullOn } from "../../errors.ts";
import type { Terminal } from "../terminal.ts";
import type { ExecutionArguments } from "./execution-options.ts";

/** What a schedule may fill in, and what keeps it from doing so. */
export interface ScheduledArguments extends ExecutionArguments, Partial<Pick<SamplerOptions, "temperature" | "topK">> {
  schedule: boolean | undefined;
  decode?: DecodeKind | undefined;
}

/** Adds `--no-schedule`. */
export function scheduleOption<T>(yargs: Argv<T>): Argv<T & { schedule: boolean | undefined }> {
  return yargs
    .option("schedule", {
      type: "boolean",
      describe: "Run as the artifact's schedule.json says (default where it has one); options go before it",
    })
    .group(["schedule"], "Execution:");
}

/**
 * The arguments with what the artifact's schedule says where nothing was asked for. A schedule of another machine, or
 * of the artifact before it changed, says nothing, and that is said. Throws UserError where the file is damaged.
 */
export async function withSchedule<T extends ScheduledArguments>(
  target: string,
  args: T,
  terminal: Terminal,
): Promise<{ readonly args: T; readonly taken: string | null }> {
  const schedule = args.schedule === false ? null : await scheduleHere(target, args, terminal);
  if (!schedule) return { args, taken: null };
  const settings = settingsFor(args, schedule.chosen);
  const taken = Object.entries(settings).filter(([name]) => !isAsked(args, name));
  const words = taken.map(([name, value]) => `${flagOf(name)} ${value}`);
  return {
    args: { ...args, ...Object.fromEntries(taken) },
    taken: `schedule: ${words.length === 0 ? "nothing, all was asked for" : words.join(", ")}`,
  };
}

/** The schedule that holds for these arguments on this machine. */
async function scheduleHere(target: string, args: ScheduledArguments, terminal: Terminal): Promise<Schedule | null> {
  const { findModel } = await import("../../decoding/find-model.ts");
  const { kind, folder } = await findModel(target);
  if (kind !== "artifact" || !(await hasSchedule(folder))) return null;
  const { readSchedule, scheduleMismatch } = await import("../../artifact/schedule.ts");
  const { readManifest } = await import("../../artifact/reader.ts");
  const schedule = await readSchedule(folder);
  if (!schedule) return null;
  const { manifestSha256 } = await readManifest(folder);
  const mismatch = scheduleMismatch(schedule, manifestSha256) ?? (await otherExecutor(args));
  if (mismatch === null) return schedule;
  terminal.note(`layerwise: ${mismatch}: left out (layerwise schedule makes one, --no-schedule asks for none)`);
  return null;
}

/** Asked before what reads one is loaded: most artifacts have none. Throws UserError where the name is no file's. */
async function hasSchedule(folder: string): Promise<boolean> {
  const { SCHEDULE_NAME } = await import("../../artifact/manifest.ts");
  const { sizeOfFile } = await import("../../formats/files.ts");
  return (await nullOn("FILE_NOT_FOUND", () => sizeOfFile(path.join(folder, SCHEDULE_NAME)))) !== null;
}

/** Why another executor runs than the one that schedules are made with; null where it does not. */
async function otherExecutor({ executor, isa, backend, threads }: ScheduledArguments): Promise<string | null> {
  const { chooseExecutor } = await import("../../runtime/create-executor.ts");
  const { EXECUTORS } = await import("../../runtime/executors.ts");
  const { kind } = await chooseExecutor({ executor, isa, backend, threads });
  return EXECUTORS[kind].traits.streams ? null : `schedule.json: is for the native executor, found ${kind}`;
}

/**
 * What the schedule says, by names of options: where the weights are goes together with the limit, and the drafter with
 * its options. Where tokens are drawn it says nothing of drafters: a drawn text is another with each.
 */
function settingsFor(args: ScheduledArguments, chosen: ScheduleSettings): Readonly<Record<string, unknown>> {
  const { threads, promptChunk, kvType, residency, memoryLimitBytes, decode } = chosen;
  const placed = args.residency !== undefined || args["memory-limit"] !== undefined || args.resident !== undefined;
  const limit = memoryLimitBytes === null ? {} : { "memory-limit": `${memoryLimitBytes} B` };
  const drafted = args.decode !== undefined || Object.keys(OPTION_SCHEMAS).some((name) => isAsked(args, name));
  return {
    ...{ threads, "prompt-chunk": promptChunk, kv: kvType },
    ...(placed ? {} : { residency, ...limit }),
    ...(drafted || drawsTokens(args) ? {} : { decode: decode.kind, ...decode.options }),
  };
}

function isAsked(args: object, name: string): boolean {
  return name in args && (args as Record<string, unknown>)[name] !== undefined;
}
