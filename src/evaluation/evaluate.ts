import { throwIfAborted, UserError } from "../errors.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor, RowSpan } from "../runtime/executor.ts";
import { summarizeDivergence } from "./divergence.ts";
import type { Arithmetic, DivergenceResult, EvaluationResult, ModelResult } from "./evaluation-result.ts";
import { LOGIT_BYTES, rowsOfLogits } from "./logit-rows.ts";
import { negativeLogLikelihood, summarizePerplexity } from "./perplexity.ts";
import { compareRow, prepareReferenceRow, type RowSummary, summarizeRow } from "./row-distribution.ts";
import { countTargets, type Window, type Windows } from "./windows.ts";

/** What to evaluate, on which windows. */
export interface EvaluateRequest extends WorkOptions {
  readonly executor: AnyExecutor;
  /** The original weights in f32; without it there is perplexity only. */
  readonly reference?: AnyExecutor | undefined;
  /** With a reference: the original weights stored as bf16; its divergence from the reference is the noise floor. */
  readonly noiseReference?: AnyExecutor | undefined;
  readonly windows: Windows;
  /** Windows share a pass up to so many rows (default 2048): a streamed or packed executor reads its weights once a pass. */
  readonly rowsPerPass?: number | undefined;
  /** Rows of logits held at a time, for each executor (default: 64 MiB of them). */
  readonly logitRows?: number | undefined;
}

/** The figures of one executor, filled as rows are seen. */
interface Collected {
  readonly executor: AnyExecutor;
  readonly nlls: Float64Array;
  /** Null for the reference itself. */
  readonly divergences: Float64Array | null;
  agreements: number;
}

/** Rows of a pass whose logits are wanted, with the ids that should follow. */
interface Targets {
  readonly rows: Int32Array;
  readonly ids: Int32Array;
}

/**
 * One pass over the windows: perplexity of the executor and, with a reference, KL(reference || executor) per token over the
 * full vocabulary. Memory is bounded by a pass of hidden states and `logitRows` rows of logits an executor.
 */
export async function evaluate(request: EvaluateRequest): Promise<EvaluationResult> {
  const { executor, noiseReference, windows } = request;
  const noise = request.reference && noiseReference ? [noiseReference] : [];
  const { base, others } = await collectAll(request, [executor, ...noise]);
  return makeResult(windows, base, others[0], others[1]);
}

/** {@link evaluate} of several executors on the same windows: the reference runs once. Results in the executors' order. */
export async function evaluateAll(
  request: Omit<EvaluateRequest, "executor" | "noiseReference"> & { readonly executors: readonly AnyExecutor[] },
): Promise<EvaluationResult[]> {
  const { base, others } = await collectAll(request, request.executors);
  return others.map((one) => makeResult(request.windows, base, one, undefined));
}

async function collectAll(
  request: Omit<EvaluateRequest, "executor" | "noiseReference">,
  executors: readonly AnyExecutor[],
): Promise<{ base: Collected | null; others: Collected[] }> {
  const { reference, windows } = request;
  const tokens = countTargets(windows.windows);
  if (tokens === 0) throw new UserError("TEXT_TOO_SHORT", "text: expected at least one token to score, found none");
  for (const other of executors) checkVocabulary(other, reference);
  const base = reference ? collect(reference, tokens, false) : null;
  const others = executors.map((other) => collect(other, tokens, reference !== undefined));

  const logitRows = request.logitRows ?? rowsOfLogits(executors[0].spec.vocabSize, LOGIT_BYTES);
  const passes = groupWindows(windows.windows, request.rowsPerPass ?? 2048);
  let done = 0;
  let scored = 0;
  for (const pass of passes) {
    throwIfAborted(request.signal);
    scored = await evaluatePass(pass, base, others, scored, { logitRows, signal: request.signal });
    done += pass.length;
    request.onProgress?.({ stage: "evaluating", done, total: windows.windows.length, detail: `${scored} tokens` });
  }
  return { base, others };
}

function collect(executor: AnyExecutor, tokens: number, compare: boolean): Collected {
  const divergences = compare ? new Float64Array(tokens) : null;
  return { executor, nlls: new Float64Array(tokens), divergences, agreements: 0 };
}

/** Runs some windows on every executor and adds their figures from index `scored` on; returns the new `scored`. */
async function evaluatePass(
  pass: readonly Window[],
  base: Collected | null,
  others: readonly Collected[],
  scored: number,
  { logitRows, signal }: { logitRows: number; signal: AbortSignal | undefined },
): Promise<number> {
  const all = base ? [base, ...others] : others;
  const hidden = new Map<Collected, unknown>();
  try {
    for (const one of all) {
      throwIfAborted(signal);
      hidden.set(one, await runWindows(one.executor, pass, signal));
    }
    const targets = targetsOf(pass);
    for (let from = 0; from < targets.rows.length; from += logitRows) {
      throwIfAborted(signal);
      const to = Math.min(from + logitRows, targets.rows.length);
      const rows = targets.rows.subarray(from, to);
      const ids = targets.ids.subarray(from, to);
      const baseLogits = base ? await base.executor.logits(hidden.get(base), rows) : null;
      for (const one of others) {
        const logits = await one.executor.logits(hidden.get(one), rows);
        addRows(logits, baseLogits, ids, one, base, scored + from);
      }
    }
    return scored + targets.rows.length;
  } finally {
    for (const [one, state] of hidden) one.executor.release(state);
  }
}

async function runWindows(
  executor: AnyExecutor,
  pass: readonly Window[],
  signal: AbortSignal | undefined,
): Promise<unknown> {
  const ids = new Int32Array(pass.reduce((sum, window) => sum + window.ids.length, 0));
  let at = 0;
  const spans = pass.map((window): RowSpan => {
    ids.set(window.ids, at);
    at += window.ids.length;
    return { cache: null, position: 0, count: window.ids.length };
  });
  const embedded = await executor.embed(ids);
  try {
    return await executor.runBlocks(embedded, 0, executor.spec.blocks.length, spans, { signal });
  } finally {
    executor.release(embedded);
  }
}

/** The row before each target: logits of row t say what follows at t + 1. */
function targetsOf(pass: readonly Window[]): Targets {
  const rows: number[] = [];
  const ids: number[] = [];
  let start = 0;
  for (const window of pass) {
    for (let target = window.firstTarget; target < window.ids.length; target++) {
      rows.push(start + target - 1);
      ids.push(window.ids[target]);
    }
    start += window.ids.length;
  }
  return { rows: Int32Array.from(rows), ids: Int32Array.from(ids) };
}

/** Adds a chunk of rows. logits, baseLogits: [ids.length, vocabSize]. */
function addRows(
  logits: Float32Array,
  baseLogits: Float32Array | null,
  ids: Int32Array,
  one: Collected,
  base: Collected | null,
  at: number,
): void {
  const vocab = logits.length / ids.length;
  const weights = new Float32Array(baseLogits ? vocab : 0);
  for (let i = 0; i < ids.length; i++) {
    const row = logits.subarray(i * vocab, (i + 1) * vocab);
    if (!base || !baseLogits || !one.divergences) {
      addNll(one, at + i, row, summarizeRow(row), ids[i]);
      continue;
    }
    const baseRow = prepareReferenceRow(baseLogits.subarray(i * vocab, (i + 1) * vocab), weights);
    const compared = compareRow(baseRow, row);
    addNll(base, at + i, baseRow.logits, baseRow, ids[i]);
    addNll(one, at + i, row, compared, ids[i]);
    one.divergences[at + i] = compared.divergence;
    if (compared.argmax === baseRow.argmax) one.agreements++;
  }
}

function addNll(to: Collected, at: number, row: Float32Array, summary: RowSummary, target: number): void {
  if (!Number.isFinite(summary.logSumExp)) {
    const message = `logits of scored token ${at}: expected finite numbers, found NaN or infinity`;
    throw new UserError(
      "LOGITS_NOT_FINITE",
      message,
      "check the weights with `layerwise verify` or `layerwise inspect`",
    );
  }
  to.nlls[at] = negativeLogLikelihood(row, summary, target);
}

/** Consecutive windows, at least one a group, up to so many rows. */
function groupWindows(windows: readonly Window[], rowsPerPass: number): Window[][] {
  const groups: Window[][] = [];
  let rows = Number.POSITIVE_INFINITY;
  for (const window of windows) {
    if (rows + window.ids.length > rowsPerPass) {
      groups.push([]);
      rows = 0;
    }
    groups[groups.length - 1].push(window);
    rows += window.ids.length;
  }
  return groups;
}

function checkVocabulary(executor: AnyExecutor, reference: AnyExecutor | undefined): void {
  if (!reference || executor.spec.vocabSize === reference.spec.vocabSize) return;
  const message = `reference: vocabulary: expected ${executor.spec.vocabSize} tokens as in the model, found ${reference.spec.vocabSize}`;
  throw new UserError("REFERENCE_MISMATCH", message, "give the checkpoint that the artifact was made from");
}

function makeResult(
  windows: Windows,
  base: Collected | null,
  model: Collected,
  noise: Collected | undefined,
): EvaluationResult {
  const { windowTokens, strideTokens, bosToken, scored } = windows;
  return {
    formatVersion: 1,
    text: { sha256: windows.textSha256, tokens: windows.textTokens },
    windows: { count: windows.windows.length, windowTokens, strideTokens, bosToken, scored },
    scoredTokens: model.nlls.length,
    model: modelResult(model),
    reference: base ? modelResult(base) : null,
    divergence: divergenceOf(model),
    noiseFloor: noise ? divergenceOf(noise) : null,
  };
}

function modelResult(one: Collected): ModelResult {
  return { ...summarizePerplexity(one.nlls), arithmetic: arithmeticOf(one.executor) };
}

function divergenceOf(one: Collected): DivergenceResult | null {
  return one.divergences ? summarizeDivergence(one.divergences, one.agreements) : null;
}

function arithmeticOf(executor: AnyExecutor): Arithmetic {
  return { ...executor.info, kvType: "f32" };
}
