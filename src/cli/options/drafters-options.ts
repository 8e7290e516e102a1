import type { Argv } from "yargs";
import { DEFAULT_SWEEP, type DrafterSweep } from "../../bench/drafters/setups.ts";
import { UserError } from "../../errors.ts";

interface DraftersOptions {
  drafters: boolean;
  prompts: string | undefined;
  "prompt-count": number;
  "draft-lengths": string | undefined;
  epsilons: string | undefined;
  "draft-limits": string | undefined;
  csv: string | undefined;
  picture: string | undefined;
}

/** What `bench --drafters` accepts besides what `bench` does, as yargs hands it over. */
export type DraftersArguments = Pick<DraftersOptions, "drafters" | "prompts" | "epsilons" | "csv" | "picture"> & {
  readonly promptCount: number;
  readonly draftLengths: string | undefined;
  readonly draftLimits: string | undefined;
};

/** Adds `--drafters` and what it sweeps and writes. */
export function draftersOptions<T>(yargs: Argv<T>): Argv<T & DraftersOptions> {
  return yargs
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
    .option("draft-lengths", {
      type: "string",
      describe: `Drafts of a fixed exit, or none; default: ${DEFAULT_SWEEP.draftLengths.join()}`,
    })
    .option("epsilons", { type: "string", describe: "Levels of DSSD; default: all that the exits were calibrated for" })
    .option("draft-limits", {
      type: "string",
      describe: `Most drafts of a round of DSSD, or none; default: ${DEFAULT_SWEEP.draftLimits.join()}`,
    })
    .option("csv", { type: "string", describe: "File for the table" })
    .option("picture", { type: "string", describe: "File for a picture (.svg): accepted over wasted drafts" })
    .group(
      ["drafters", "prompts", "prompt-count", "draft-lengths", "epsilons", "draft-limits", "csv", "picture"],
      "Drafters:",
    );
}

/** Throws UserError USAGE where what only drafters have is asked for without them, or anything they cannot have with them. */
export function checkDraftersArguments(
  args: DraftersArguments & { readonly backends: readonly string[] | undefined },
  models: number,
): void {
  const { prompts, draftLengths, epsilons, draftLimits, csv, picture } = args;
  const theirs = { prompts, "draft-lengths": draftLengths, epsilons, "draft-limits": draftLimits, csv, picture };
  const stray = Object.entries(theirs).find(([, value]) => value !== undefined);
  if (!args.drafters && stray) throw new UserError("USAGE", `--${stray[0]}: expected --drafters beside it, found none`);
  if (!args.drafters) return;
  if (models !== 1) throw new UserError("USAGE", `bench --drafters: expected one model, found ${models}`);
  if (args.backends) throw new UserError("USAGE", "bench --drafters: expected --backend, found --backends");
}

/** The sweep that was asked for. Throws UserError USAGE for what is no list of numbers. */
export function sweepOf({ draftLengths, epsilons, draftLimits }: DraftersArguments): DrafterSweep {
  return {
    draftLengths: listOf("draft-lengths", draftLengths) ?? DEFAULT_SWEEP.draftLengths,
    epsilons: listOf("epsilons", epsilons) ?? DEFAULT_SWEEP.epsilons,
    draftLimits: listOf("draft-limits", draftLimits) ?? DEFAULT_SWEEP.draftLimits,
  };
}

/** "1,2,4" as numbers, "none" as no number; null where nothing was said. */
function listOf(name: string, text: string | undefined): number[] | null {
  if (text === undefined) return null;
  if (text === "none") return [];
  const numbers = text.split(",").map((part) => (part.trim() === "" ? Number.NaN : Number(part)));
  if (numbers.every(Number.isFinite)) return numbers;
  throw new UserError("USAGE", `--${name}: expected numbers with commas between them, or none, found ${text}`);
}
