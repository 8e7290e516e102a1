import type { DecodeOptions } from "../../decoding/drafters/index.ts";
import type { OpenModel } from "../../decoding/open-model.ts";
import type { EvaluationTimings } from "../../evaluation/evaluate.ts";
import type { EvaluationResult } from "../../evaluation/evaluation-result.ts";
import type { TaskResult, ZeroShotResult } from "../../evaluation/zero-shot/zero-shot-result.ts";
import { executorName } from "../../runtime/executor-info.ts";
import type { OverlapReport } from "../evaluation/overlap-check.ts";
import type { TextEvaluation } from "../evaluation/text-evaluation.ts";
import { decodeDocument } from "../options/decoding-options.ts";
import type { Colours } from "../terminal.ts";
import { formatCount, formatNumber } from "./number-text.ts";
import { type Column, renderMarkdown, renderTable } from "./table.ts";

/** What was measured; null: not asked for. */
interface Measured {
  readonly decode: DecodeOptions;
  readonly text: TextEvaluation | null;
  readonly zeroShot: ZeroShotResult | null;
}

/** The document of `--json`. */
export function evaluationDocument(
  model: OpenModel,
  { decode, text, zeroShot, overlap }: Measured & { readonly overlap: OverlapReport | null },
): object {
  const { folder, kind, adapter, weightBytes, executor } = model;
  return {
    model: folder,
    kind,
    adapter,
    decode: decode.kind,
    decoding: decodeDocument(decode),
    referenceModel: text?.referenceFolder ?? null,
    weightBytes,
    text: text && { path: text.path, ...text.result.text },
    result: text && withoutText(text.result),
    timings: text?.timings ?? null,
    zeroShot,
    overlap,
    executor: executor.info,
  };
}

function withoutText({ text: _, ...rest }: EvaluationResult): Omit<EvaluationResult, "text"> {
  return rest;
}

/** Tables for people, or in Markdown. */
export function evaluationText({ decode, text, zeroShot }: Measured, markdown: boolean, colours: Colours): string {
  const table = (columns: readonly Column[], rows: readonly string[][]) =>
    markdown ? renderMarkdown(columns, rows) : renderTable(columns, rows, colours);
  const note = (line: string) => (markdown ? `\n${line}` : colours.dim(line));
  const parts: string[] = [];
  if (text) {
    parts.push(table([{ head: "measure" }, { head: "value" }], textRows(text.result)));
    parts.push(note(`${howText(text.result)}\n${timingText(text.timings)}`));
  }
  if (text && zeroShot) parts.push("");
  if (zeroShot) {
    parts.push(table(TASK_COLUMNS, zeroShot.tasks.map(taskRow)));
    parts.push(note(`accuracies in %, no examples before the question; ${arithmeticText(zeroShot.arithmetic)}`));
  }
  const voting = voteText(decode);
  if (voting !== null) parts.push(note(voting));
  return parts.join("\n");
}

/** Who voted, and how; null where nobody did. */
function voteText(decode: DecodeOptions): string | null {
  if (!("weights" in decode)) return null;
  const { exits, vote, weights } = decode;
  const names = [...exits.exits.map(({ blocks }) => `after ${blocks} blocks`), "output head"];
  return `vote (${vote}): ${names.map((name, i) => (weights ? `${name} ${formatNumber(weights[i])}` : name)).join(", ")}`;
}

const plusMinus = (value: number, error: number) => `${formatNumber(value)} ± ${formatNumber(error)}`;
const percentWithError = ({ value, error }: { value: number; error: number }) =>
  `${(100 * value).toFixed(2)} ± ${(100 * error).toFixed(2)}`;

function textRows(result: EvaluationResult): string[][] {
  const { model, reference, divergence, noiseFloor } = result;
  const rows = [["perplexity", plusMinus(model.perplexity, model.perplexityError)]];
  if (reference) rows.push(["perplexity of the reference", plusMinus(reference.perplexity, reference.perplexityError)]);
  if (divergence) {
    const { median, p90, p99, max } = divergence;
    rows.push(
      ["KL divergence, nats a token", plusMinus(divergence.mean, divergence.meanError)],
      ["  median, 90 %, 99 %, max", [median, p90, p99, max].map(formatNumber).join(", ")],
      ["top-1 agreement, %", plusMinus(100 * divergence.top1Agreement, 100 * divergence.top1AgreementError)],
      ["top-5 agreement, %", plusMinus(100 * divergence.top5Agreement, 100 * divergence.top5AgreementError)],
    );
  }
  if (noiseFloor) {
    rows.push(["noise floor: KL of the reference as bf16", plusMinus(noiseFloor.mean, noiseFloor.meanError)]);
  }
  return rows;
}

function howText({ model, windows, scoredTokens, text }: EvaluationResult): string {
  const { count, windowTokens, strideTokens, scored } = windows;
  const tokens = scored === "all" ? "" : ", second halves";
  return (
    `${formatCount(scoredTokens)} tokens scored in ${count} windows of ${windowTokens}, stride ${strideTokens}${tokens}\n` +
    `${arithmeticText(model.arithmetic)}; text sha256 ${text.sha256}`
  );
}

function arithmeticText(arithmetic: EvaluationResult["model"]["arithmetic"]): string {
  const { residency, activations, kvType } = arithmetic;
  return `${executorName(arithmetic)}, ${residency}, activations ${activations}, keys and values ${kvType}`;
}

function timingText({ windows, reference, executors, comparison }: EvaluationTimings): string {
  const each = (seconds: number) => `${formatNumber(seconds / windows)} s`;
  const parts = [`model ${each(executors[0])}`];
  if (reference !== null) parts.push(`reference ${each(reference)}`, `comparison ${each(comparison)}`);
  return `a window: ${parts.join(", ")}`;
}

const TASK_COLUMNS: readonly Column[] = [
  { head: "task" },
  { head: "examples", align: "right" },
  { head: "acc", align: "right" },
  { head: "acc_norm", align: "right" },
  { head: "perplexity", align: "right" },
];

function taskRow({ task, examples, available, accuracy, accuracyNorm, perplexity }: TaskResult): string[] {
  const count =
    examples === available ? formatCount(examples) : `${formatCount(examples)} of ${formatCount(available)}`;
  return [
    task,
    count,
    percentWithError(accuracy),
    accuracyNorm ? percentWithError(accuracyNorm) : "",
    perplexity ? plusMinus(perplexity.value, perplexity.error) : "",
  ];
}
