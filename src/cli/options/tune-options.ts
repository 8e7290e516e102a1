import type { ArgumentsCamelCase, Argv } from "yargs";
import { UserError } from "../../errors.ts";
import { ROLES } from "../../model/matrix-id.ts";
import type { RateSchedule } from "../../training/tuning/rates.ts";
import type { LossExit } from "../../training/tuning/settings.ts";
import type { WindowOrder } from "../../training/tuning/window-order.ts";
import { checkedNumber } from "./number-bounds.ts";

/** What may be chosen: the tables are loaded by whoever tunes. */
const ORDERS = ["shallow-to-deep", "round-robin", "by-loss"] as const satisfies readonly WindowOrder[];
const SCHEDULES = ["constant", "linear", "cosine"] as const satisfies readonly RateSchedule[];
const EXITS = ["window", "last"] as const satisfies readonly LossExit[];

/** What `tune` accepts about what is learned, and how. */
export interface TuneArguments {
  data: string[];
  "held-out-file": string | undefined;
  out: string;
  merge: string | undefined;
  window: string;
  order: WindowOrder | undefined;
  exit: LossExit | undefined;
  "first-block": number | undefined;
  turn: number | undefined;
  rank: number | undefined;
  alpha: number | undefined;
  roles: string | undefined;
  steps: number | undefined;
  accumulate: number | undefined;
  sequence: number | undefined;
  rate: number | undefined;
  schedule: RateSchedule | undefined;
  warmup: number | undefined;
  decay: number | undefined;
  clip: number | undefined;
  seed: number | undefined;
  "held-out": number | undefined;
  recompute: boolean | undefined;
  "save-every": number | undefined;
}

/** Adds the options of {@link TuneArguments}. */
export function tuneOptions<T>(yargs: Argv<T>): Argv<T & TuneArguments> {
  return yargs
    .option("data", {
      type: "string",
      array: true,
      demandOption: true,
      describe: "Text (.txt), or JSON lines of text, of prompt and completion, or of messages",
    })
    .option("held-out-file", { type: "string", describe: "Text to measure on; default: a share of the data" })
    .option("held-out", { type: "number", describe: "That share; default: 0.05" })
    .option("out", {
      type: "string",
      demandOption: true,
      describe: "Folder of the results; the same command continues",
    })
    .option("merge", {
      type: "string",
      describe: "New folder for a checkpoint with the adapter merged into its weights",
    })
    .option("window", { type: "string", default: "4", describe: "Blocks that are tuned at a time, or all" })
    .option("order", {
      choices: ORDERS,
      describe: "Windows one after another, in turns, or where the loss fell most; default: shallow-to-deep",
    })
    .option("turn", { type: "number", describe: "Steps of a turn, with the other orders; default: 8" })
    .option("exit", { choices: EXITS, describe: "Loss after the last block, or at the window's end; default: last" })
    .option("first-block", { type: "number", describe: "Blocks below it are left as they are; default: 0" })
    .option("rank", { type: "number", describe: "Of the adapters; default: 8" })
    .option("alpha", { type: "number", describe: "They count alpha / rank times; default: 16" })
    .option("roles", { type: "string", describe: `Matrices that get one, of ${ROLES.join(",")}; default: all` })
    .option("steps", { type: "number", describe: "Steps in all windows together; default: 100" })
    .option("accumulate", { type: "number", describe: "Sequences of a step; default: 4" })
    .option("sequence", { type: "number", describe: "Tokens of a sequence at most; default: 512" })
    .option("rate", { type: "number", describe: "Learning rate; default: 4e-4" })
    .option("schedule", { choices: SCHEDULES, describe: "How the rate goes on; default: constant" })
    .option("warmup", { type: "number", describe: "Steps over which the rate rises; default: 0" })
    .option("decay", { type: "number", describe: "Decoupled weight decay; default: 0" })
    .option("clip", { type: "number", describe: "Largest norm of a step's slopes; default: 0.3" })
    .option("seed", { type: "number", describe: "Of the adapters' start and of the order of the text; default: 0" })
    .option("recompute", { type: "boolean", describe: "Run blocks again on the way back: less memory, more time" })
    .option("save-every", { type: "number", describe: "Steps between saved states; default: 10" })
    .group(["data", "held-out-file", "held-out", "sequence"], "Text:")
    .group(["window", "order", "turn", "exit", "first-block", "recompute"], "Windows:")
    .group(["rank", "alpha", "roles"], "Adapters:")
    .group(["steps", "accumulate", "rate", "schedule", "warmup", "decay", "clip", "seed", "save-every"], "Steps:");
}

/** The arguments as the settings of training/tuning/settings.ts; what was not given is left out. */
export function tuneSettingsOf(args: ArgumentsCamelCase<TuneArguments>): Record<string, unknown> {
  const { order, turn, exit, firstBlock, rank, alpha, steps, accumulate, sequence, rate, schedule } = args;
  const { warmup, decay, clip, seed, heldOut, recompute, saveEvery } = args;
  const given = {
    ...{ order, turn, exit, firstBlock, rank, alpha, steps, accumulate, sequence, rate, schedule },
    ...{ warmup, decay, clip, seed, heldOut, recompute, saveEvery },
    window: args.window === "all" ? "all" : checkedNumber("window", args.window),
    roles: rolesOf(args.roles),
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function rolesOf(text: string | undefined): string[] | undefined {
  const names = text?.split(",").map((name) => name.trim());
  const unknown = names?.find((name) => !ROLES.some((role) => role === name));
  if (unknown === undefined) return names;
  throw new UserError("USAGE", `--roles: expected some of ${ROLES.join(",")}, found ${JSON.stringify(unknown)}`);
}
