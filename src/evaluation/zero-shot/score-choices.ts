import { throwIfAborted } from "../../errors.ts";
import { summarizeRow } from "../../maths/plain/row-distribution.ts";
import type { KvType } from "../../model/kv-type.ts";
import { explainingNotFinite } from "../../passes/find-not-finite.ts";
import { groupByRows } from "../../passes/rows.ts";
import { runRows } from "../../passes/run-rows.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { KvCache } from "../../runtime/kv-cache.ts";
import { notFinite } from "../../runtime/not-finite.ts";
import { joinedInt32 } from "../../tensor/join.ts";
import { LOGIT_BYTES, rowsOfLogits } from "../logit-rows.ts";
import type { TokenizedChoice } from "./tokenize.ts";

/** How likely a continuation is. */
export interface ChoiceScore {
  /** ln of its probability, nats: the sum over its ids. */
  logLikelihood: number;
  /** Every id of it is the likeliest one at its place. */
  greedy: boolean;
}

export interface ScoreChoicesOptions {
  readonly kvType: KvType;
  /** Examples share a pass up to so many rows. Their caches live as long as the pass. */
  readonly rowsPerPass: number;
  readonly signal?: AbortSignal | undefined;
  /** Called after each pass with the number of examples that are done. */
  readonly onDone?: (examples: number) => void;
}

/** A shorter beginning is not worth a pass of its own. */
const MIN_SHARED = 8;

/** An example ready to run: the choices' ids, and how many of them begin all choices. */
interface Planned {
  readonly choices: readonly TokenizedChoice[];
  readonly shared: number;
  readonly scores: ChoiceScore[];
}

/** A choice under way: its cache holds the rows before `from`. */
interface Running {
  readonly choice: TokenizedChoice;
  readonly score: ChoiceScore;
  readonly cache: KvCache;
  readonly from: number;
}

/**
 * Log-likelihoods of the choices of every example. Several examples share a pass, and what the choices of an example
 * have in common is computed once: its cache is forked for each. On the native executor the figures do not depend on
 * either.
 */
export async function scoreChoices(
  executor: AnyExecutor,
  examples: readonly (readonly TokenizedChoice[])[],
  options: ScoreChoicesOptions,
): Promise<ChoiceScore[][]> {
  const planned = examples.map((choices): Planned => {
    const scores = choices.map(() => ({ logLikelihood: 0, greedy: true }));
    return { choices, shared: sharedRows(choices), scores };
  });
  let done = 0;
  for (const group of groupByRows(planned, rowsOf, options.rowsPerPass)) {
    throwIfAborted(options.signal);
    const sequences = group.flatMap(({ choices }) => choices.map(({ ids }) => ids));
    const lookedAt = () => [{ executor, kvType: options.kvType, sequences }];
    await explainingNotFinite(lookedAt, () => scoreGroup(executor, group, options));
    done += group.length;
    options.onDone?.(done);
  }
  return planned.map(({ scores }) => scores);
}

/**
 * Rows at the beginning that all choices share; the row before the first scored id is left to each choice. 0: not worth
 * it.
 */
export function sharedRows(choices: readonly TokenizedChoice[]): number {
  if (choices.length < 2) return 0;
  const [first] = choices;
  const most = Math.min(...choices.map(({ firstTarget }) => firstTarget - 1));
  let shared = 0;
  while (shared < most && choices.every(({ ids }) => ids[shared] === first.ids[shared])) shared++;
  return shared < MIN_SHARED ? 0 : shared;
}

/** The last id of a sequence is never an input. */
const inputRows = ({ ids }: TokenizedChoice) => ids.length - 1;

/** What the choices share is computed once. */
function rowsOf({ choices, shared }: Planned): number {
  return choices.reduce((sum, choice) => sum + inputRows(choice) - shared, shared);
}

async function scoreGroup(
  executor: AnyExecutor,
  group: readonly Planned[],
  options: ScoreChoicesOptions,
): Promise<void> {
  const caches: KvCache[] = [];
  try {
    const running = await startChoices(executor, group, caches, options);
    const spans = running.map(({ choice, cache, from }) => ({
      cache,
      position: from,
      count: inputRows(choice) - from,
    }));
    const ids = joinedInt32(running.map(({ choice, from }) => choice.ids.subarray(from, inputRows(choice))));
    const hidden = await runRows(executor, { ids, spans }, { signal: options.signal });
    try {
      await addScores(executor, hidden, running, options.signal);
    } finally {
      executor.release(hidden);
    }
  } finally {
    for (const cache of caches) cache.dispose();
  }
}

/** Runs what choices share and gives each choice its cache; all caches made are added to `caches`. */
async function startChoices(
  executor: AnyExecutor,
  group: readonly Planned[],
  caches: KvCache[],
  { kvType, signal }: ScoreChoicesOptions,
): Promise<Running[]> {
  const keep = (cache: KvCache) => {
    caches.push(cache);
    return cache;
  };
  const create = (rows: number) => keep(executor.createCache({ maxTokens: rows, kvType }));
  const starts = group.map(({ choices, shared }) => {
    if (shared === 0) return null;
    const cache = create(Math.max(...choices.map(inputRows)));
    cache.reserve(Math.min(...choices.map(inputRows)));
    return { cache, ids: choices[0].ids.subarray(0, shared) };
  });
  const used = starts.filter((start) => start !== null);
  if (used.length > 0) {
    const spans = used.map(({ cache, ids }) => ({ cache, position: 0, count: ids.length }));
    const ids = joinedInt32(used.map((start) => start.ids));
    executor.release(await runRows(executor, { ids, spans }, { signal }));
  }
  return group.flatMap(({ choices, shared, scores }, at) =>
    choices.map((choice, i): Running => {
      const rows = inputRows(choice);
      const start = starts[at];
      const fork = start ? keep(start.cache.fork()) : null;
      // A longer choice may need other rotary factors than the others: it is then computed whole.
      const isUsable = fork !== null && !fork.needsRebuild(rows);
      const cache = isUsable ? fork : create(rows);
      cache.reserve(rows);
      return { choice, score: scores[i], cache, from: isUsable ? shared : 0 };
    }),
  );
}

/** Adds each scored id's log-probability to its choice; logits are held some rows at a time. */
async function addScores(
  executor: AnyExecutor,
  hidden: unknown,
  running: readonly Running[],
  signal: AbortSignal | undefined,
): Promise<void> {
  const targets: { row: number; id: number; score: ChoiceScore }[] = [];
  let start = 0;
  for (const { choice, score, from } of running) {
    for (let at = choice.firstTarget; at < choice.ids.length; at++) {
      targets.push({ row: start + at - 1 - from, id: choice.ids[at], score });
    }
    start += inputRows(choice) - from;
  }
  const { vocabSize } = executor.spec;
  const step = rowsOfLogits(vocabSize, LOGIT_BYTES);
  for (let first = 0; first < targets.length; first += step) {
    throwIfAborted(signal);
    const part = targets.slice(first, first + step);
    const logits = await executor.logits(
      hidden,
      Int32Array.from(part, ({ row }) => row),
    );
    part.forEach(({ id, score }, i) => {
      const row = logits.subarray(i * vocabSize, (i + 1) * vocabSize);
      const { logSumExp, argmax } = summarizeRow(row);
      if (!Number.isFinite(logSumExp)) throw notFinite("logits of a zero-shot choice");
      score.logLikelihood += row[id] - logSumExp;
      if (argmax !== id) score.greedy = false;
    });
  }
}
