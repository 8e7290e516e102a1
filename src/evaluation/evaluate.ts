import { throwIfAborted, UserError } from "../errors.ts";
import type { ComparedRows, RowComparer, RowSummaries } from "../maths/row-comparison.ts";
import type { KvType } from "../model/kv-type.ts";
import { explainingNotFinite } from "../passes/find-not-finite.ts";
import type { WorkOptions } from "../progress.ts";
import type { AnyExecutor } from "../runtime/executor.ts";
import { notFinite } from "../runtime/not-finite.ts";
import { summarizeDivergence } from "./divergence.ts";
import type { Arithmetic, DivergenceResult, EvaluationResult, ModelResult } from "./evaluation-result.ts";
import { LOGIT_BYTES, rowsOfLogits } from "./logit-rows.ts";
import { groupWindows, rowsOfCaches, runWindows, type Targets, targetsOf } from "./passes.ts";
import { negativeLogLikelihood, summarizePerplexity } from "./perplexity.ts";
import type { ReferenceStates } from "./reference-states.ts";
import { countTargets, type Window, type Windows } from "./windows.ts";

/** What to evaluate, on which windows. */
export interface EvaluateRequest extends WorkOptions {
  readonly executor: AnyExecutor;
  /** The original weights in f32; without it there is perplexity only. */
  readonly reference?: AnyExecutor | undefined;
  /** With a reference: the original weights stored as bf16; its divergence from the reference is the noise floor. */
  readonly noiseReference?: AnyExecutor | undefined;
  /** The reference's states on these windows: its blocks need not run then, and results are the same. */
  readonly referenceStates?: ReferenceStates | undefined;
  readonly windows: Windows;
  /** How the executor keeps keys and values (default f32); the references have f32. */
  readonly kvType?: KvType | undefined;
  /**
   * Windows share a pass up to so many rows (default 2048): a streamed or packed executor reads its weights once a
   * pass.
   */
  readonly rowsPerPass?: number | undefined;
  /** Rows of logits held at a time, for each executor (default: 64 MiB of them). */
  readonly logitRows?: number | undefined;
  /** Told once, at the end, where the time went. */
  readonly onTimings?: ((timings: EvaluationTimings) => void) | undefined;
}

/** Seconds of an evaluation: blocks and output head of each executor, and the comparison of logits. */
export interface EvaluationTimings {
  readonly windows: number;
  readonly reference: number | null;
  /** In the executors' order; `evaluate` puts the noise reference last. */
  readonly executors: readonly number[];
  readonly comparison: number;
}

/** The figures of one executor, filled as rows are seen. */
interface Collected {
  readonly executor: AnyExecutor;
  readonly kvType: KvType;
  readonly nlls: Float64Array;
  /** Null for the reference itself. */
  readonly divergences: Float64Array | null;
  agreements: number;
  top5Agreements: number;
  ms: number;
}

/** What a pass has left of one executor: its hidden state, and which rows of it are those of the targets. */
interface State {
  readonly hidden: unknown;
  readonly rows: Int32Array;
}

/**
 * One pass over the windows: perplexity of the executor and, with a reference, KL(reference || executor) per token over
 * the full vocabulary. Memory is bounded by a pass of hidden states and `logitRows` rows of logits an executor, and as
 * many more where plain maths compare rows.
 */
export async function evaluate(request: EvaluateRequest): Promise<EvaluationResult> {
  const { executor, noiseReference, windows } = request;
  const noise = request.reference && noiseReference ? [noiseReference] : [];
  const kvType = request.kvType ?? "f32";
  const all = [{ executor, kvType }, ...noise.map((one) => ({ executor: one, kvType: "f32" as const }))];
  const { base, others } = await collectAll(request, all);
  return makeResult(windows, base, others[0], others[1]);
}

/**
 * {@link evaluate} of several executors on the same windows: the reference runs once. Results in the executors' order.
 */
export async function evaluateAll(
  request: Omit<EvaluateRequest, "executor" | "noiseReference"> & { readonly executors: readonly AnyExecutor[] },
): Promise<EvaluationResult[]> {
  const { kvType = "f32" } = request;
  const all = request.executors.map((executor) => ({ executor, kvType }));
  const { base, others } = await collectAll(request, all);
  return others.map((one) => makeResult(request.windows, base, one, undefined));
}

async function collectAll(
  request: Omit<EvaluateRequest, "executor" | "noiseReference">,
  executors: readonly { readonly executor: AnyExecutor; readonly kvType: KvType }[],
): Promise<{ base: Collected | null; others: Collected[] }> {
  const { reference, windows } = request;
  const tokens = countTargets(windows.windows);
  if (tokens === 0) throw new UserError("TEXT_TOO_SHORT", "text: expected at least one token to score, found none");
  for (const { executor } of executors) checkVocabulary(executor, reference);
  checkStates(request, tokens);
  const base = reference ? collect(reference, "f32", tokens, false) : null;
  const others = executors.map((other) => collect(other.executor, other.kvType, tokens, reference !== undefined));

  const logitRows = request.logitRows ?? rowsOfLogits(executors[0].executor.spec.vocabSize, LOGIT_BYTES);
  const passes = groupWindows(windows.windows, request.rowsPerPass ?? defaultRows(executors));
  const clock = { comparisonMs: 0 };
  const comparer = (base ?? others[0]).executor.maths.rowComparer();
  let done = 0;
  let scored = 0;
  for (const pass of passes) {
    throwIfAborted(request.signal);
    const sequences = pass.map(({ ids }) => ids);
    const all = base ? [base, ...others] : others;
    const lookedAt = () => all.map(({ executor, kvType }) => ({ executor, kvType, sequences }));
    scored = await explainingNotFinite(lookedAt, () =>
      evaluatePass(pass, base, others, scored, { ...request, logitRows, clock, comparer }),
    );
    done += pass.length;
    request.onProgress?.({ stage: "evaluating", done, total: windows.windows.length, detail: `${scored} tokens` });
  }
  request.onTimings?.({
    windows: windows.windows.length,
    reference: base && base.ms / 1000,
    executors: others.map(({ ms }) => ms / 1000),
    comparison: clock.comparisonMs / 1000,
  });
  return { base, others };
}

/** 2,048 rows, or as many as bounded caches hold. */
function defaultRows(executors: readonly { readonly executor: AnyExecutor; readonly kvType: KvType }[]): number {
  const cached = executors.filter(({ kvType }) => kvType !== "f32");
  return Math.min(2048, ...cached.map(({ executor, kvType }) => rowsOfCaches(executor.spec, kvType)));
}

function checkStates({ reference, referenceStates }: Partial<EvaluateRequest>, tokens: number): void {
  if (!referenceStates) return;
  if (!reference) throw new Error("evaluate: reference states need the reference, whose output head they are for");
  if (referenceStates.rows !== tokens) {
    throw new Error(`evaluate: reference states of ${referenceStates.rows} tokens, windows score ${tokens}`);
  }
}

function collect(executor: AnyExecutor, kvType: KvType, tokens: number, compare: boolean): Collected {
  const divergences = compare ? new Float64Array(tokens) : null;
  return { executor, kvType, nlls: new Float64Array(tokens), divergences, agreements: 0, top5Agreements: 0, ms: 0 };
}

interface PassOptions {
  readonly logitRows: number;
  readonly referenceStates?: ReferenceStates | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly clock: { comparisonMs: number };
  readonly comparer: RowComparer;
}

/** Runs some windows on every executor and adds their figures from index `scored` on; returns the new `scored`. */
async function evaluatePass(
  pass: readonly Window[],
  base: Collected | null,
  others: readonly Collected[],
  scored: number,
  { logitRows, referenceStates, signal, clock, comparer }: PassOptions,
): Promise<number> {
  const targets = targetsOf(pass);
  const states = new Map<Collected, State>();
  const logitsOf = (one: Collected, from: number, to: number) => {
    const state = states.get(one);
    if (!state) throw new Error("evaluate: an executor without a state");
    return timed(one, () => one.executor.logits(state.hidden, state.rows.subarray(from, to)));
  };
  const comparing = async <T>(work: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    const result = await work();
    clock.comparisonMs += performance.now() - began;
    return result;
  };
  try {
    for (const one of base ? [base, ...others] : others) {
      throwIfAborted(signal);
      const saved = one === base ? referenceStates : undefined;
      states.set(one, await timed(one, () => stateOf(one, pass, targets, { saved, scored, signal })));
    }
    for (let from = 0; from < targets.ids.length; from += logitRows) {
      throwIfAborted(signal);
      const to = Math.min(from + logitRows, targets.ids.length);
      const ids = targets.ids.subarray(from, to);
      const baseLogits = base ? await logitsOf(base, from, to) : null;
      const compare = baseLogits && (await comparing(async () => comparer.against(baseLogits, ids.length)));
      for (const one of others) {
        const logits = await logitsOf(one, from, to);
        const at = scored + from;
        if (!base || !baseLogits || !compare) {
          addNlls(one, at, { logits, ids }, await comparing(() => comparer.summarize(logits, ids.length)));
          continue;
        }
        const compared = await comparing(() => compare(logits));
        addNlls(base, at, { logits: baseLogits, ids }, compared.reference);
        addNlls(one, at, { logits, ids }, compared);
        addDivergences(one, at, compared);
      }
    }
    return scored + targets.ids.length;
  } finally {
    for (const [one, { hidden }] of states) one.executor.release(hidden);
  }
}

/** The state of a pass: run, or for a reference whose states are saved, read. */
async function stateOf(
  { executor, kvType }: Collected,
  pass: readonly Window[],
  { rows, ids }: Targets,
  { saved, scored, signal }: { saved: ReferenceStates | undefined; scored: number; signal: AbortSignal | undefined },
): Promise<State> {
  if (!saved) return { hidden: await runWindows(executor, pass, { kvType, signal }), rows };
  const data = await saved.read(scored, scored + ids.length);
  return { hidden: executor.write(data, ids.length), rows: Int32Array.from(ids.keys()) };
}

/** Adds the time of the work to the executor's. */
async function timed<T>(one: Collected, work: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await work();
  one.ms += performance.now() - began;
  return result;
}

/** Adds a chunk of scored tokens from number `at` on. logits: [ids.length, vocabSize]. */
function addNlls(
  to: Collected,
  at: number,
  { logits, ids }: { readonly logits: Float32Array; readonly ids: Int32Array },
  { logSumExps }: RowSummaries,
): void {
  const vocab = logits.length / ids.length;
  for (const [i, logSumExp] of logSumExps.entries()) {
    const nll = negativeLogLikelihood(logits.subarray(i * vocab, (i + 1) * vocab), logSumExp, ids[i]);
    if (!Number.isFinite(logSumExp + nll)) throw notFinite(`logits of scored token ${at + i}`);
    to.nlls[at + i] = nll;
  }
}

function addDivergences(to: Collected, at: number, { argmaxes, reference, divergences, ranks }: ComparedRows): void {
  const wrong = divergences.findIndex((divergence) => !Number.isFinite(divergence));
  if (wrong >= 0) throw notFinite(`logits of scored token ${at + wrong}`);
  to.divergences?.set(divergences, at);
  for (const [i, rank] of ranks.entries()) {
    if (argmaxes[i] === reference.argmaxes[i]) to.agreements++;
    if (rank < 5) to.top5Agreements++;
  }
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
  const { windowTokens, strideTokens, beginning, scored } = windows;
  return {
    formatVersion: 1,
    text: { sha256: windows.textSha256, tokens: windows.textTokens },
    windows: {
      ...{ count: windows.windows.length, windowTokens, strideTokens, scored },
      bosToken: beginning[0] ?? null,
    },
    scoredTokens: model.nlls.length,
    model: modelResult(model),
    reference: base ? modelResult(base) : null,
    divergence: divergenceOf(model),
    noiseFloor: noise ? divergenceOf(noise) : null,
  };
}

function modelResult(one: Collected): ModelResult {
  return { ...summarizePerplexity(one.nlls), arithmetic: arithmeticOf(one) };
}

function divergenceOf(one: Collected): DivergenceResult | null {
  return one.divergences
    ? summarizeDivergence(one.divergences, { top1: one.agreements, top5: one.top5Agreements })
    : null;
}

function arithmeticOf({ executor, kvType }: Collected): Arithmetic {
  return { ...executor.info, kvType };
}
