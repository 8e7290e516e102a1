import path from "node:path";
import type { UserError } from "../errors.ts";
import { JsonError, parseJson } from "./json.ts";

/** One JSON value of several, and where it stands, for messages. */
export interface JsonRecord {
  readonly where: string;
  readonly value: unknown;
}

/** The reader's error for what is no list of records; `found` completes "expected …, found". */
export type BadRecord = (where: string, found: string) => UserError;

const ENDINGS: readonly string[] = [".json", ".jsonl", ".ndjson", ".jsonlines"];

/** Whether a text is JSON, by the file's name, or since it begins as no prose does, or is JSON from end to end. */
export function holdsRecords(text: string, label: string): boolean {
  if (ENDINGS.includes(path.extname(label).toLowerCase()) || /^\s*(\[\s*)?\{\s*"/.test(text)) return true;
  return /^\s*\[/.test(text) && "value" in parse(text);
}

/**
 * The records of JSON text: the items of an array, or one value a line, empty lines skipped. Throws what `bad` makes of
 * text that is neither, naming file and line or item.
 */
export function jsonRecords(text: string, label: string, bad: BadRecord): JsonRecord[] {
  const isArray = text.trimStart().startsWith("[");
  const whole = isArray ? parse(text) : null;
  if (whole && "value" in whole && Array.isArray(whole.value)) {
    return whole.value.map((value: unknown, i) => ({ where: `${label}: item ${i + 1}`, value }));
  }
  const lines = text
    .split("\n")
    .flatMap((line, i) => (line.trim() === "" ? [] : [{ line, where: `${label}:${i + 1}` }]));
  return lines.map(({ line, where }, i) => {
    const parsed = parse(line);
    if ("value" in parsed) return { where, value: parsed.value };
    if (i > 0) throw bad(where, parsed.reason);
    // The first line is no value: the text is damaged, or one value over several lines.
    if (whole && "reason" in whole) throw bad(label, whole.reason);
    throw "value" in parse(text) ? bad(label, "one JSON object over several lines") : bad(where, parsed.reason);
  });
}

function parse(text: string): { readonly value: unknown } | { readonly reason: string } {
  try {
    return { value: parseJson(text) };
  } catch (error) {
    if (error instanceof JsonError) return { reason: error.message };
    throw error;
  }
}
