import type { DecodeRequest } from "../../decoding/choose-decode.ts";
import { UserError } from "../../errors.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import { defineCommand } from "../command.ts";
import { checkOverlap, overlapText } from "../evaluation/overlap-check.ts";
import { evaluateTextOn } from "../evaluation/text-evaluation.ts";
import { decodeRequest } from "../options/decoding-options.ts";
import { type BOS_CHOICES, type EvaluationArguments, evaluationOptions } from "../options/evaluation-options.ts";
import { openToRun } from "../options/execution-options.ts";
import type { Terminal } from "../terminal.ts";
import { evaluationDocument, evaluationText } from "../text/evaluation-text.ts";

/** `layerwise eval`: perplexity on a text, with `--reference` KL divergence and agreement, and zero-shot tasks. */
export const evalCommand = defineCommand({
  command: "eval <model>",
  describe: "Perplexity on a text, against a reference checkpoint also KL divergence and agreement; zero-shot tasks",
  examples: [
    ["eval outputs/smollm2/artifact --text wiki.test.raw --windows 40", "perplexity ± its standard error"],
    ["eval outputs/smollm2/artifact --text wiki.test.raw --reference models/smollm2 --json", "with KL divergence"],
    [
      "eval outputs/smollm2/artifact --text wiki.test.raw --reference models/smollm2 --score second-half --windows 40",
      "the tokens that llama.cpp's perplexity tool scores",
    ],
    [
      "eval models/smollm2 --text wiki.test.raw --exits-at 15,23 --vote-text wiki.valid.raw",
      "what the output head says after 15, 23 and all blocks together, by weights fitted to another text",
    ],
    ["eval models/smollm2 --tasks piqa,arc-easy --tasks-folder eval --limit 200 --markdown", "zero-shot tasks"],
  ],
  repeatable: ["calibration"],
  options: evaluationOptions,
  async run(args, terminal) {
    if (args.text === undefined && args.tasks === undefined) {
      throw new UserError(
        "EVAL_NOTHING",
        "eval: expected --text or --tasks, found neither",
        "name a text or some tasks",
      );
    }
    if (args.referenceStates !== undefined && (args.reference === undefined || args.text === undefined)) {
      throw new UserError("EVAL_STATES", "reference-states: expected --text and --reference beside it", "name both");
    }
    const tasks = await readTasksOf(args);
    const opened = await openToRun(args.model, args, terminal);
    try {
      const { modelOfDecode } = await import("../../decoding/choose-decode.ts");
      const beginning = textBeginning(opened.tokenizer, args.bos);
      const { model, decode } = await modelOfDecode(opened, await requestOf(opened, args, { beginning, terminal }));
      const text =
        args.text === undefined ? null : await evaluateTextOn(model, args.text, { args, beginning, terminal });
      const zeroShot = tasks.length === 0 ? null : await zeroShotOf(model, tasks, { beginning, terminal });
      const texts = [...(text ? [text.evaluatedText] : []), ...tasks.flatMap(({ examples }) => examples.map(goldText))];
      const overlap = await checkOverlap({ model, files: args.calibration, texts });
      if (overlap && overlap.shared > 0) terminal.note(overlapText(overlap));
      terminal.document(evaluationDocument(model, { decode, text, zeroShot, overlap }));
      terminal.print(evaluationText({ decode, text, zeroShot }, args.markdown, terminal.colours));
    } finally {
      await opened.close();
    }
  },
});

type OpenModel = Awaited<ReturnType<typeof import("../../decoding/open-model.ts").openModel>>;
type LoadedTasks = Awaited<ReturnType<typeof import("../../evaluation/zero-shot/read-tasks.ts").readTasks>>;

/** How the model is asked, with weights of a vote that are fitted first where a text for that is named. */
async function requestOf(
  model: OpenModel,
  args: EvaluationArguments,
  work: { readonly beginning: readonly number[]; readonly terminal: Terminal },
): Promise<DecodeRequest> {
  const request = decodeRequest(args);
  const file = args.voteText;
  if (file === undefined) return request;
  const { fittedRequest } = await import("../evaluation/fitted-vote.ts");
  return fittedRequest(model, request, { file, args, ...work });
}

/** The tasks that are asked for, read before a model is opened. */
async function readTasksOf({ tasks, tasksFolder, limit }: EvaluationArguments): Promise<LoadedTasks> {
  if (tasks === undefined) return [];
  const { parseTaskNames, readTasks } = await import("../../evaluation/zero-shot/read-tasks.ts");
  const names = parseTaskNames(tasks);
  if (tasksFolder === undefined) {
    throw new UserError(
      "ZERO_SHOT_FOLDER",
      "tasks: expected --tasks-folder, found none",
      "name the folder of the tasks' files",
    );
  }
  return readTasks(tasksFolder, names, limit);
}

async function zeroShotOf(
  model: OpenModel,
  tasks: LoadedTasks,
  { beginning, terminal }: { readonly beginning: readonly number[]; readonly terminal: Terminal },
) {
  const { evaluateTasks } = await import("../../evaluation/zero-shot/evaluate-tasks.ts");
  const { executor, tokenizer, kvType } = model;
  const { signal, onProgress } = terminal;
  return evaluateTasks({ executor, tokenizer, tasks, beginning, kvType, signal, onProgress });
}

/** What of an example a model must not have seen: the question with its right answer. */
function goldText({ choices, gold }: LoadedTasks[number]["examples"][number]): string {
  return choices[gold].context + choices[gold].continuation;
}

/** The ids to put first in every window and before every question. */
function textBeginning(tokenizer: Tokenizer, choice: (typeof BOS_CHOICES)[number]): readonly number[] {
  if (choice === "no") return [];
  if (choice === "auto" || tokenizer.beginning.length > 0) return tokenizer.beginning;
  if (tokenizer.bosToken !== null) return [tokenizer.bosToken];
  throw new UserError(
    "EVAL_BOS",
    `bos: expected a model with a BOS token, found none in the files of ${tokenizer.label}`,
    "leave --bos yes away",
  );
}
