import type { Command } from "./command.ts";

/** Every command, in the order of the help. A command's file is loaded when it is asked for, or the help of all. */
const COMMANDS: Readonly<Record<string, () => Promise<Command>>> = {
  compress: async () => (await import("./commands/compress.ts")).compressCommand,
  calibrate: async () => (await import("./commands/calibrate.ts")).calibrateCommand,
  score: async () => (await import("./commands/score.ts")).scoreCommand,
  plan: async () => (await import("./commands/plan.ts")).planCommand,
  quantize: async () => (await import("./commands/quantize.ts")).quantizeCommand,
  adapt: async () => (await import("./commands/adapt.ts")).adaptCommand,
  exits: async () => (await import("./commands/exits.ts")).exitsCommand,
  tune: async () => (await import("./commands/tune.ts")).tuneCommand,
  run: async () => (await import("./commands/run.ts")).runCommand,
  chat: async () => (await import("./commands/chat.ts")).chatCommand,
  eval: async () => (await import("./commands/eval.ts")).evalCommand,
  schedule: async () => (await import("./commands/schedule.ts")).scheduleCommand,
  bench: async () => (await import("./commands/bench.ts")).benchCommand,
  "export-gguf": async () => (await import("./commands/export-gguf.ts")).exportGgufCommand,
  inspect: async () => (await import("./commands/inspect.ts")).inspectCommand,
  verify: async () => (await import("./commands/verify.ts")).verifyCommand,
};

/** Their names, in the table's order. */
export const COMMAND_NAMES: readonly string[] = Object.keys(COMMANDS);

/** What stands in the command's place of a command line: options may come before it. */
export function commandWord(args: readonly string[]): string | undefined {
  return args.find((arg) => !arg.startsWith("-"));
}

/** The command that a word names, or null. */
export async function commandNamed(name: string | undefined): Promise<Command | null> {
  return name !== undefined && Object.hasOwn(COMMANDS, name) ? COMMANDS[name]() : null;
}

/** All of them, in the table's order. */
export function allCommands(): Promise<Command[]> {
  return Promise.all(Object.values(COMMANDS).map((load) => load()));
}
