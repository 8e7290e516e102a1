import path from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { readSourceText } from "../../calibration/documents.ts";
import { startPassages } from "../../calibration/passages.ts";
import { UserError } from "../../errors.ts";
import { parseWith, readFileBytes } from "../../formats/files.ts";
import { holdsRecords, jsonRecords } from "../../formats/json-records.ts";
import { refuseTable, textOf } from "../../formats/text-file.ts";
import type { Tokenizer } from "../../model/tokenizer.ts";

/** Prompts as ids. */
export interface DrafterPrompts {
  /** What they were taken from, for people. */
  readonly source: string;
  readonly ids: readonly Int32Array[];
}

export interface PromptOptions {
  /**
   * One prompt a line, or JSON with `{"prompt": …}` or `{"text": …}` a line or in an array; default: passages of the
   * text that ships.
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
  const text = textOf(await readFileBytes(file, MAX_FILE_BYTES), file);
  refuseTable(text, file);
  if (!holdsRecords(text, file)) return text.split(/\r?\n/).filter((line) => line.trim() !== "");
  const bad = (where: string, found: string) =>
    new UserError("PROMPTS", `${where}: JSON: expected {"prompt": …} or {"text": …}, found ${found}`);
  return jsonRecords(text, file, bad).map(({ where, value }) => parseWith(Prompt, value, where));
}

const Prompt = z.union([
  z.object({ prompt: z.string() }).transform(({ prompt }) => prompt),
  z.object({ text: z.string() }).transform(({ text }) => text),
]);

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
