import { ExitKind } from "../../artifact/exits/table.ts";
import { VOTE_RULE_IDS } from "../../decoding/exits/vote-rules/index.ts";
import { UserError } from "../../errors.ts";
import { BACKEND_CHOICES } from "../../runtime/backend-names.ts";
import { EXECUTOR_CHOICES } from "../../runtime/executors.ts";
import { defineCommand } from "../command.ts";
import { checkedNumber, checkedNumbers } from "../options/number-bounds.ts";
import { shorten } from "../text/shorten.ts";

/** `layerwise exits`: trains early exits for an artifact that exists. */
export const exitsCommand = defineCommand({
  command: "exits <target>",
  describe: "Train early exits on a packed model, in place of any that it has",
  examples: [
    ["exits outputs/smollm2", "as the run folder's recipe says, or with the defaults of the recipe dssd"],
    ["exits outputs/smollm2 --exits 8,16,24 --confidence margin", "other points; the text is the run folder's"],
    ["exits phone/artifact --text notes.txt articles.jsonl --tokens 100000", "an artifact from elsewhere, own text"],
    ["exits outputs/smollm2 --data self", "on text that the model writes itself"],
    ["exits outputs/tuned --exits 15,23 --kind shared --vote weighted", "votes of blocks that were tuned in windows"],
  ],
  resumable: true,
  repeatable: ["text"],
  options: (yargs) =>
    yargs
      .positional("target", { type: "string", demandOption: true, describe: "Artifact, or run folder that holds one" })
      .option("exits", {
        type: "string",
        describe: "Blocks that run before each exit (8,16,24), even, or auto: where the answers by depth promise most",
      })
      .option("count", { type: "number", describe: "How many, with even or auto; default: 3" })
      .option("kind", {
        choices: ExitKind.options,
        describe:
          "adapter: kilobytes beside the model's output head; linear: a matrix of its own; shared: the output head itself",
      })
      .option("rank", { type: "number", describe: "Of adapters; default: 128, or the hidden size where that is less" })
      .option("head-vocab", {
        type: "string",
        describe: "Most frequent ids that the heads score, or full; default: the recipe's",
      })
      .option("tokens", { type: "number", describe: "Tokens to train, calibrate and report on; default: the recipe's" })
      .option("data", {
        choices: ["calibration", "self"] as const,
        describe: "calibration: text files; self: text that the model writes from their beginnings",
      })
      .option("text", {
        type: "string",
        array: true,
        describe: "Text files (.txt, .jsonl) in place of the run folder's, or of the text that ships",
      })
      .option("confidence", {
        choices: ["entropy", "max", "margin"] as const,
        describe: "By what a head says how sure it is; default: entropy",
      })
      .option("vote", {
        choices: VOTE_RULE_IDS,
        describe: "Rule that they are to vote by; weights that it needs are fitted and stored",
      })
      .option("seed", { type: "number", describe: "Of text, split and training; default: the recipe's" })
      .option("work", {
        type: "string",
        describe: "Folder for hidden states and what a stopped run goes on from; default: the run folder",
      })
      .option("over-budget", {
        type: "boolean",
        describe: "Also where the model with its exits takes more than it was planned for",
      })
      .option("executor", { choices: EXECUTOR_CHOICES, describe: "Executor that runs the model; default: auto" })
      .option("backend", {
        choices: BACKEND_CHOICES,
        describe: "TensorFlow.js backend that trains, and runs the model with --executor tfjs; default: auto",
      })
      .option("threads", { type: "number", describe: "Threads to compute with; default: the physical cores" })
      .group(["exits", "count", "kind", "rank", "head-vocab", "confidence", "vote"], "Exits:")
      .group(["tokens", "data", "text", "seed"], "Text:")
      .group(["executor", "backend", "threads"], "Execution:"),
  async run(args, terminal) {
    const { exitsOfArtifact } = await import("../../pipeline/exits-of-artifact.ts");
    const { exitTrainingText } = await import("../text/exit-training-text.ts");
    const { stepText } = await import("../pipeline-run.ts");
    const { signal, onProgress } = terminal;
    const settings = {
      ...{ after: pointsOf(args.exits), count: args.count, kind: args.kind, rank: args.rank },
      ...{ vocabulary: vocabularyOf(args.headVocab), tokens: args.tokens },
      ...{ data: args.data, confidence: args.confidence, vote: args.vote },
    };
    const trained = await exitsOfArtifact(args.target, {
      ...{ settings, text: args.text ?? null, seed: args.seed ?? null, work: args.work ?? null },
      ...{ overBudget: args.overBudget ?? false, signal, onProgress },
      ...{
        executor: args.executor ?? null,
        backend: args.backend ?? null,
        threads: args.threads,
      },
      onStep: (step) => terminal.note(`layerwise: ${stepText(step)}`),
    });
    terminal.print(exitTrainingText(trained, terminal.colours));
    terminal.print(`artifact: ${trained.artifact}`);
    terminal.document(trained);
  },
});

/** `8,16,24`, `even` or `auto`; whether the numbers fit is the settings' schema to say. */
function pointsOf(text: string | undefined): number[] | string | undefined {
  if (text === undefined || text === "even" || text === "auto") return text;
  if (/^\d/.test(text)) return checkedNumbers("exits", text).sort((a, b) => a - b);
  throw new UserError("USAGE", `--exits: expected numbers such as 8,16,24, or even, or auto, found "${shorten(text)}"`);
}

function vocabularyOf(text: string | undefined): number | "full" | undefined {
  if (text === undefined || text === "full") return text;
  if (/^[\d.]/.test(text)) return checkedNumber("head-vocab", text);
  throw new UserError("USAGE", `--head-vocab: expected a number of ids, or full, found "${shorten(text)}"`);
}
