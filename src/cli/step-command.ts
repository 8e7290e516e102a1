import path from "node:path";
import { UserError } from "../errors.ts";
import type { StepName } from "../pipeline/steps/index.ts";
import { type Command, defineCommand } from "./command.ts";
import { mergeRunOptions, runOptions } from "./options/run-options.ts";

/**
 * Up to a step on a run folder, or with --out on a checkpoint that begins one; steps before it run where they have not.
 */
export function stepCommand(name: string, until: StepName, describe: string, example: string): Command {
  return defineCommand({
    command: `${name} <source>`,
    describe,
    examples: [[example, "stages before it run first, where their results are not there"]],
    resumable: true,
    repeatable: ["calibration"],
    options: (yargs) =>
      runOptions(
        yargs.positional("source", {
          type: "string",
          demandOption: true,
          describe: "Run folder, or a checkpoint with --out",
        }),
      ).option("out", { type: "string", describe: "Run folder to begin or continue from a checkpoint" }),
    async run(args, terminal) {
      const { recallOptions, savedOptions } = await import("../pipeline/run-options.ts");
      const { runPipeline } = await import("./pipeline-run.ts");
      const saved = args.out === undefined ? await recallOptions(args.source) : await savedOptions(args.out);
      if (args.out !== undefined && saved && path.resolve(args.source) !== saved.checkpoint) {
        throw new UserError(
          "RUN_FOLDER_OTHER",
          `${args.out}: expected a run of ${args.source}, found one of ${saved.checkpoint}`,
          "choose another --out",
        );
      }
      const checkpoint = args.out === undefined && saved ? saved.checkpoint : args.source;
      // What is chosen and scored does not depend on the budget, so the early steps do not ask for one.
      const budget = args.budget ?? saved?.budget ?? (until === "artifact" ? undefined : "auto");
      const options = await mergeRunOptions(checkpoint, { ...args, budget }, saved);
      await runPipeline(args.out ?? args.source, options, until, terminal);
    },
  });
}
