import { throwIfAborted } from "../../errors.ts";
import type { KvType } from "../../model/kv-type.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import { meanWithError } from "../statistics.ts";
import type { LoadedTask } from "./read-tasks.ts";
import { type ChoiceScore, scoreChoices } from "./score-choices.ts";
import type { Example, Task } from "./task.ts";
import { tokenizeExample } from "./tokenize.ts";
import type { TaskResult, ZeroShotResult } from "./zero-shot-result.ts";

/** What to score on which model. */
export interface ZeroShotRequest extends WorkOptions {
  readonly executor: AnyExecutor;
  readonly tokenizer: Tokenizer;
  readonly tasks: readonly LoadedTask[];
  /** Ids put before every context. */
  readonly beginning: readonly number[];
  /** How keys and values are kept; default f32. */
  readonly kvType?: KvType | undefined;
  /** Longest sequence; default: the model's positions. */
  readonly maxTokens?: number | undefined;
  /** Rows of a pass (default 512): it bounds the keys and values held at a time. */
  readonly rowsPerPass?: number | undefined;
  /** Milliseconds; default: the machine's clock. */
  readonly now?: () => number;
}

/**
 * Scores the tasks one after the other, each as lm-evaluation-harness does: no example before the question, likelihoods
 * of the choices.
 */
export async function evaluateTasks(request: ZeroShotRequest): Promise<ZeroShotResult> {
  const { executor, tasks, beginning, kvType = "f32" } = request;
  const results: TaskResult[] = [];
  for (const task of tasks) results.push(await evaluateTask(task, request));
  const bosToken = beginning[0] ?? null;
  return { formatVersion: 1, arithmetic: { ...executor.info, kvType }, bosToken, tasks: results };
}

async function evaluateTask(
  { name, task, examples, available }: LoadedTask,
  request: ZeroShotRequest,
): Promise<TaskResult> {
  const { executor, tokenizer, beginning, kvType = "f32", rowsPerPass = 512, signal, onProgress } = request;
  const now = request.now ?? (() => performance.now());
  throwIfAborted(signal);
  const maxTokens = request.maxTokens ?? executor.spec.maxPositions;
  const began = now();
  const tokenized = examples.map((example) => tokenizeExample(tokenizer, example, { beginning, maxTokens }));
  const onDone = (done: number) => onProgress?.({ stage: name, done, total: examples.length });
  onDone(0);
  const scores = await scoreChoices(executor, tokenized, { kvType, rowsPerPass, signal, onDone });
  const seconds = (now() - began) / 1000;
  return { task: name, examples: examples.length, available, ...summarizeTask(task, examples, scores), seconds };
}

/** Accuracies and perplexity of a task's scores, each with its standard error. */
export function summarizeTask(
  task: Pick<Task, "kind" | "normalised">,
  examples: readonly Example[],
  scores: readonly (readonly ChoiceScore[])[],
): Pick<TaskResult, "accuracy" | "accuracyNorm" | "perplexity"> {
  const share = (isRight: (example: Example, choices: readonly ChoiceScore[]) => boolean) => {
    const { mean, error } = meanWithError(
      Float64Array.from(examples, (example, i) => Number(isRight(example, scores[i]))),
    );
    return { value: mean, error };
  };
  if (task.kind === "continue") {
    const nll = meanWithError(Float64Array.from(scores, ([{ logLikelihood }]) => -logLikelihood));
    const perplexity = Math.exp(nll.mean);
    return {
      accuracy: share((_, [{ greedy }]) => greedy),
      accuracyNorm: null,
      perplexity: { value: perplexity, error: perplexity * nll.error },
    };
  }
  const accuracy = share((example, choices) => best(choices.map((one) => one.logLikelihood)) === example.gold);
  const byLength = (example: Example, choices: readonly ChoiceScore[]) =>
    best(choices.map((one, i) => one.logLikelihood / example.choices[i].answerBytes)) === example.gold;
  return { accuracy, accuracyNorm: task.normalised ? share(byLength) : null, perplexity: null };
}

/** Index of the largest value, the first of equals. */
function best(values: readonly number[]): number {
  return values.indexOf(Math.max(...values));
}
