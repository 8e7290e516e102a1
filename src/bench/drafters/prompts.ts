import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { readSourceText } from "../../calibration/documents.ts";
import { startPassages } from "../../calibration/passages.ts";
import { UserError } from "../../errors.ts";
import { decodeText, parseJsonBytes, parseWith, readFileBytes } from "../../formats/files.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";

/** Prompts as ids. */
export interface DrafterPrompts {
  /** What they were taken from, for people. */
  readonly source: string;
  readonly ids: readonly Int32Array[];
}

export interface PromptOptions {
  /**
   * One prompt a line, or `.jsonl` with `{"prompt": …}` or `{"text": …}` a line; default: passages of the text that
   * ships.
   */
  readonly file?: string | undefined;
  /** The first so many; of the text that ships, so many. */
  readonly count: number;
  /** A prompt is cut to its first so many tokens. */
  readonly maxTokens: number;
}

const FOLDER = fileURLToPath(new URL("../../../calibration-data/", import.meta.url));
/** The general English among it. */
const SHIPPED = ["pride-and-prejudice.txt", "origin-of-species.txt"];
/** Characters of a passage for each wanted token: more than any tokenizer takes for English. */
const CHARS_PER_TOKEN = 8;
const MAX_FILE_BYTES = 64 * 1024 * 1024;

/**
 * The prompts of a drafter benchmark. Throws UserError PROMPTS for counts that are none and files without prompts,
 * `FILE_*` for unreadable ones.
 */
export async function readPrompts(
  tokenizer: Tokenizer,
  { file, count, maxTokens }: PromptOptions,
): Promise<DrafterPrompts> {
  for (const [name, value] of Object.entries({ "prompt-count": count, "prompt-tokens": maxTokens })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new UserError("PROMPTS", `${name}: expected a whole number from 1 up, found ${value}`);
  }
  const texts = file === undefined ? await shippedPassages(count, maxTokens) : await promptsOf(file);
  const ids = texts
    .slice(0, count)
    .map((text) => tokenizer.encode(text).subarray(0, maxTokens))
    .filter(({ length }) => length > 0);
  const source = file === undefined ? `calibration text that ships (${SHIPPED.join(", ")})` : path.basename(file);
  if (ids.length > 0) return { source, ids };
  throw new UserError("PROMPTS", `${file ?? source}: expected at least one prompt, found none`);
}

async function promptsOf(file: string): Promise<string[]> {
  const bytes = await readFileBytes(file, MAX_FILE_BYTES);
  const lines = decodeText(bytes, file)
    .split(/\r?\n/)
    .map((text, i) => ({ text, where: `${file}:${i + 1}` }))
    .filter(({ text }) => text.trim() !== "");
  if (!file.toLowerCase().endsWith(".jsonl")) return lines.map(({ text }) => text);
  return lines.map(({ text, where }) => promptOf(text, where));
}

const Line = z.union([
  z.object({ prompt: z.string() }).transform(({ prompt }) => prompt),
  z.object({ text: z.string() }).transform(({ text }) => text),
]);

function promptOf(line: string, where: string): string {
  return parseWith(Line, parseJsonBytes(new TextEncoder().encode(line), where), where);
}

/** Passages evenly over the shipped texts, each begun at a paragraph, a line or a word. */
async function shippedPassages(count: number, maxTokens: number): Promise<string[]> {
  const documents: string[] = [];
  for (const name of SHIPPED) {
    const { documents: found } = await readSourceText(path.join(FOLDER, name), () => "");
    documents.push(...found);
  }
  const passages = startPassages(documents, CHARS_PER_TOKEN * maxTokens);
  const wanted = Math.min(count, passages.length);
  return Array.from({ length: wanted }, (_, i) => passages[Math.floor(((i + 0.5) * passages.length) / wanted)]);
}
