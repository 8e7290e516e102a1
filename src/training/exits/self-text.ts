import path from "node:path";
import { setImmediate } from "node:timers/promises";
import { z } from "zod";
import { limitTokens } from "../../calibration/sequences.ts";
import { createSampler, type Sampler } from "../../decoding/sampler.ts";
import { throwIfAborted, UserError } from "../../errors.ts";
import { isFile, readJsonFile, writeFileAtomic } from "../../formats/files.ts";
import { type KvType, kvVectorBytes } from "../../model/kv-type.ts";
import { runRows } from "../../passes/run-rows.ts";
import type { WorkOptions } from "../../progress.ts";
import type { AnyExecutor } from "../../runtime/executor.ts";
import type { KvCache } from "../../runtime/kv-cache.ts";
import { Random } from "../../tensor/random.ts";

/** Tokens of a prompt: few, so that the text is the model's own. */
export const SELF_PROMPT_TOKENS = { least: 8, most: 16 } as const;
/**
 * Tokens of a text with its prompt. Further on, what a small model finds most likely repeats itself and teaches
 * nothing.
 */
export const SELF_TEXT_TOKENS = 128;
/** How every second text is drawn; the others take the most likely token, as decoding does by default. */
export const SELF_SAMPLING = { temperature: 1, topK: 64 } as const;

/** Sequences continued in one pass: with that many, reading the weights is a small part of it. */
const MAX_TOGETHER = 64;
/** And at least, though fewer may be missing in the end: some texts end early. */
const LEAST_TOGETHER = 8;
/** Keys and values of all that are continued together. */
const MAX_KV_BYTES = 256 * 2 ** 20;

/** What a model is to write. */
export interface SelfTextOptions extends WorkOptions {
  readonly executor: AnyExecutor;
  /** Beginnings of real texts: of each the first 8 to 16 tokens are continued. */
  readonly prompts: readonly Int32Array[];
  /** Of all texts together, prompts included. */
  readonly tokens: number;
  readonly seed: number;
  readonly kvType: KvType;
  /** Of one text; default {@link SELF_TEXT_TOKENS}. */
  readonly textTokens?: number | undefined;
  /** A folder that exists and is of this very request: finished batches are kept in it and not written again. */
  readonly folder: string;
}

const Batch = z.array(z.array(z.number().int().nonnegative()));

/**
 * Text that a model writes itself: prompts in order, each continued to so many tokens or the end of the text, half of
 * them greedily and half sampled, until there are so many tokens (the last text is cut) or the prompts end. Many are
 * continued in one pass. A text depends on its prompt, its place and the seed only. Throws Interrupted between passes;
 * called again, it goes on at the last finished batch.
 */
export async function writeSelfText(options: SelfTextOptions): Promise<Int32Array[]> {
  const { prompts, tokens, textTokens = SELF_TEXT_TOKENS, onProgress } = options;
  const together = sequencesTogether(options);
  const texts: Int32Array[] = [];
  let written = 0;
  while (texts.length < prompts.length && written < tokens) {
    const missing = Math.max(LEAST_TOGETHER, Math.ceil((tokens - written) / textTokens));
    for (const text of await writeBatch(options, texts.length, Math.min(together, missing))) {
      texts.push(text);
      written += text.length;
    }
    onProgress?.({ stage: "writing text", done: Math.min(written, tokens), total: tokens });
  }
  return limitTokens(texts, tokens);
}

/** Texts of so many prompts from one on: read where they are finished, else written and kept. */
async function writeBatch(options: SelfTextOptions, from: number, count: number): Promise<Int32Array[]> {
  const { prompts, seed, folder } = options;
  const file = path.join(folder, `texts-${from}.json`);
  const finished = await readBatch(file);
  if (finished) return finished;
  const starts = prompts.slice(from, from + count).map((prompt, i) => promptOf(prompt, seed, from + i));
  const batch = await continueTogether(options, starts, from);
  await writeFileAtomic(file, JSON.stringify(batch.map((ids) => [...ids])));
  return batch;
}

/** Null where the batch is not there; a damaged one is as good as none. */
async function readBatch(file: string): Promise<Int32Array[] | null> {
  if (!(await isFile(file))) return null;
  const found = await readJsonFile(file, Batch).catch((error: unknown) => {
    if (error instanceof UserError) return null;
    throw error;
  });
  return found?.map((ids) => Int32Array.from(ids)) ?? null;
}

function sequencesTogether({ executor: { spec }, kvType, textTokens = SELF_TEXT_TOKENS }: SelfTextOptions): number {
  const tokenBytes = spec.blocks.reduce((sum, { attention }) => {
    return attention ? sum + 2 * attention.kvHeads * kvVectorBytes(kvType, attention.headDim) : sum;
  }, 0);
  const fit = Math.floor(MAX_KV_BYTES / Math.max(1, tokenBytes * textTokens));
  return Math.max(1, Math.min(MAX_TOGETHER, fit));
}

function promptOf(ids: Int32Array, seed: number, place: number): Int32Array {
  const { least, most } = SELF_PROMPT_TOKENS;
  return ids.slice(0, least + new Random(seed).fork(`prompt ${place}`).nextInt(most - least + 1));
}

/** A text on its way. */
interface Line {
  readonly ids: number[];
  /** Ids that the cache holds. */
  cached: number;
  readonly cache: KvCache;
  readonly sampler: Sampler;
}

/** `from`: place of the first prompt among all. */
async function continueTogether(
  { executor, seed, kvType, textTokens = SELF_TEXT_TOKENS, signal }: SelfTextOptions,
  starts: readonly Int32Array[],
  from: number,
): Promise<Int32Array[]> {
  const { spec } = executor;
  const maxTokens = Math.min(textTokens, spec.maxPositions);
  const lines: Line[] = [];
  try {
    for (const [i, start] of starts.entries()) {
      const cache = executor.createCache({ maxTokens, kvType });
      lines.push({ ids: [...start.slice(0, maxTokens)], cached: 0, cache, sampler: samplerOf(seed, from + i) });
      cache.reserve(maxTokens);
    }
    const logits = new Float32Array(lines.length * spec.vocabSize);
    const isOpen = ({ ids, cached }: Line) =>
      ids.length < maxTokens && (cached === 0 || !spec.eosTokens.includes(ids[ids.length - 1]));
    for (let open = lines.filter(isOpen); open.length > 0; open = open.filter(isOpen)) {
      // A pass on TensorFlow.js computes without yielding: what stops the work is heard of here.
      await setImmediate();
      throwIfAborted(signal);
      await extend(executor, open, logits, signal);
    }
    return lines.map(({ ids }) => Int32Array.from(ids));
  } finally {
    for (const { cache } of lines) cache.dispose();
  }
}

function samplerOf(seed: number, place: number): Sampler {
  if (place % 2 === 0) return createSampler();
  return createSampler({ ...SELF_SAMPLING, seed: new Random(seed).fork(`text ${place}`).nextUint32() });
}

/** One more token for each line. logits: room for [lines, vocabSize]. */
async function extend(
  executor: AnyExecutor,
  lines: readonly Line[],
  logits: Float32Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  const { vocabSize } = executor.spec;
  const fed = lines.map(({ ids, cached }) => ids.slice(cached));
  const spans = lines.map(({ cache, cached }, i) => ({ cache, position: cached, count: fed[i].length }));
  const rows = new Int32Array(lines.length);
  let end = 0;
  for (const [i, { length }] of fed.entries()) {
    end += length;
    rows[i] = end - 1;
  }
  const into = logits.subarray(0, lines.length * vocabSize);
  const given = { ids: Int32Array.from(fed.flat()), spans };
  executor.release(await runRows(executor, given, { signal, logits: { rows, into } }));
  for (const [i, line] of lines.entries()) {
    line.cached = line.ids.length;
    line.ids.push(line.sampler.next(into.subarray(i * vocabSize, (i + 1) * vocabSize), line.ids));
  }
}
