import type { Argv } from "yargs";
import { type DrafterSweep, SWEEP_SCHEMAS } from "../../bench/drafters/setups.ts";
import { flagOf } from "../../decoding/drafters/drafter.ts";
import { UserError } from "../../errors.ts";
import { checkedNumbers } from "./number-bounds.ts";

interface DraftersOptions {
  drafters: boolean;
  prompts: string | undefined;
  "prompt-count": number;
  csv: string | undefined;
  picture: string | undefined;
}

/**
 * What `bench --drafters` accepts besides what `bench` does, as yargs hands it over; what is swept has the names of the
 * sweep's lists.
 */
export type DraftersArguments = Pick<DraftersOptions, "drafters" | "prompts" | "csv" | "picture"> & {
  readonly promptCount: number;
} & Readonly<Record<string, unknown>>;

const SWEPT = Object.entries(SWEEP_SCHEMAS).map(([name, schema]) => ({ name, flag: flagOf(name), schema }));

/** Adds `--drafters` and what it sweeps and writes. */
export function draftersOptions<T>(yargs: Argv<T>): Argv<T & DraftersOptions> {
  const all = yargs
    .option("drafters", {
      type: "boolean",
      default: false,
      describe: "Instead: plain decoding, fixed exits and DSSD on prompts, with the exits of an artifact",
    })
    .option("prompts", {
      type: "string",
      describe: 'File with a prompt a line, or .jsonl with {"prompt": …}; default: text that ships',
    })
    .option("prompt-count", {
      type: "number",
      default: 8,
      describe: "Prompts to take, each of --prompt-tokens at most",
    })
    .option("csv", { type: "string", describe: "File for the table" })
    .option("picture", {
      type: "string",
      describe: "File for a picture (.svg): accepted over wasted drafts; needs @observablehq/plot and linkedom",
    })
    .group(["drafters", "prompts", "prompt-count", ...SWEPT.map(({ flag }) => flag), "csv", "picture"], "Drafters:");
  for (const { flag, schema } of SWEPT) all.option(flag, { type: "string", describe: schema.description });
  return all;
}

/**
 * Throws UserError USAGE where what only drafters have is asked for without them, or anything they cannot have with
 * them.
 */
export function checkDraftersArguments(
  args: DraftersArguments & { readonly backends: readonly string[] | undefined },
  models: number,
): void {
  const { prompts, csv, picture } = args;
  const swept = SWEPT.map(({ name, flag }): [string, unknown] => [flag, args[name]]);
  const theirs: [string, unknown][] = [["prompts", prompts], ...swept, ["csv", csv], ["picture", picture]];
  const stray = theirs.find(([, value]) => value !== undefined);
  if (!args.drafters && stray) throw new UserError("USAGE", `--${stray[0]}: expected --drafters beside it, found none`);
  if (!args.drafters) return;
  if (models !== 1) throw new UserError("USAGE", `bench --drafters: expected one model, found ${models}`);
  if (args.backends) throw new UserError("USAGE", "bench --drafters: expected --backend, found --backends");
}

/** The sweep that was asked for. Throws UserError USAGE for what is no list of numbers. */
export function sweepOf(args: DraftersArguments): DrafterSweep {
  return Object.fromEntries(
    SWEPT.flatMap(({ name, flag }): [string, number[]][] => {
      const text = args[name];
      return typeof text === "string" ? [[name, text === "none" ? [] : checkedNumbers(flag, text)]] : [];
    }),
  );
}
