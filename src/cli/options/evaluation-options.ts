import type { ArgumentsCamelCase, Argv } from "yargs";
import { flagOf } from "../../decoding/drafters/drafter.ts";
import { EVALUATED_DRAFTERS, optionSchemasOf, PLAIN } from "../../decoding/drafters/index.ts";
import { drafterOptions } from "./decoding-options.ts";
import { executionOptions } from "./execution-options.ts";

/** Whether BOS comes first; `auto`: where the tokenizer adds one. */
export const BOS_CHOICES = ["auto", "yes", "no"] as const;

/** What `layerwise eval` accepts, as yargs hands it over. */
export type EvaluationArguments =
  ReturnType<typeof evaluationOptions> extends Argv<infer T> ? ArgumentsCamelCase<T> : never;

/** Adds the options of `layerwise eval`. */
export function evaluationOptions(yargs: Argv<object>) {
  const positional = yargs.positional("model", {
    type: "string",
    demandOption: true,
    describe: "Artifact, run folder or checkpoint",
  });
  const ofDrafters = optionSchemasOf(EVALUATED_DRAFTERS);
  const kinds = EVALUATED_DRAFTERS.map(({ kind, what }) => `${kind}: ${what}`).join("; ");
  return drafterOptions(executionOptions(positional), ofDrafters)
    .option("decode", {
      choices: EVALUATED_DRAFTERS.map(({ kind }) => kind),
      describe: `Whose distributions: ${kinds}. Default: ${PLAIN.kind}, or what takes the options given`,
    })
    .option("vote-text", {
      type: "string",
      describe: "Text file that the weights of a vote are fitted to first: another than what is evaluated",
    })
    .option("text", { type: "string", describe: "UTF-8 text file" })
    .option("reference", { type: "string", describe: "The original checkpoint, computed in f32" })
    .option("noise-floor", {
      type: "boolean",
      default: true,
      describe:
        "With --reference: also the divergence of the reference stored as bf16 (nothing to measure where it is)",
    })
    .option("reference-states", {
      type: "string",
      describe: "File with the reference's states on this text: written where it is absent, then used for any model",
    })
    .option("window", { type: "number", default: 512, describe: "Tokens of a window" })
    .option("stride", { type: "number", describe: "Tokens between the starts of windows; default: the window" })
    .option("windows", { type: "number", describe: "Only the first so many windows" })
    .option("score", {
      choices: ["all", "second-half"] as const,
      default: "all" as const,
      describe: "Tokens scored: all but a window's first, or its second half as llama.cpp does",
    })
    .option("bos", {
      choices: BOS_CHOICES,
      default: "auto" as const,
      describe:
        "Put BOS in place of each window's first token and before each question; auto: if the tokenizer adds one",
    })
    .option("tasks", { type: "string", describe: "Zero-shot tasks, such as lambada,piqa; all for every one" })
    .option("tasks-folder", { type: "string", describe: "Folder of the tasks' files" })
    .option("limit", { type: "number", describe: "Only the first so many examples of each task" })
    .option("calibration", {
      type: "string",
      array: true,
      describe: "Text files that calibrated the model, to be looked for in the evaluation; default: the run folder's",
    })
    .option("markdown", { type: "boolean", default: false, describe: "Print tables in Markdown" })
    .group(["decode", ...Object.keys(ofDrafters).map(flagOf), "vote-text"], "Decoding:")
    .group(["text", "reference", "noise-floor", "reference-states", "window", "stride", "windows", "score"], "Text:")
    .group(["tasks", "tasks-folder", "limit"], "Zero-shot tasks:");
}
