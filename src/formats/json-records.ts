import path from "node:path";
import type { UserError } from "../errors.ts";
import { checkNesting } from "./json-nesting.ts";

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
  return /^\s*\[/.test(text) && parse(text) !== null;
}

/**
 * The records of JSON text: the items of an array, or one value a line, empty lines skipped. Throws what `bad` makes of
 * text that is neither, naming file and line or item; UserError `JSON_NESTING`.
 */
export function jsonRecords(text: string, label: string, bad: BadRecord): JsonRecord[] {
  checkNesting(new TextEncoder().encode(text), label);
  const isArray = text.trimStart().startsWith("[");
  const whole = isArray ? parse(text) : null;
  if (whole && Array.isArray(whole.value)) {
    return whole.value.map((value: unknown, i) => ({ where: `${label}: item ${i + 1}`, value }));
  }
  const lines = text
    .split("\n")
    .flatMap((line, i) => (line.trim() === "" ? [] : [{ line, where: `${label}:${i + 1}` }]));
  return lines.map(({ line, where }, i) => {
    const parsed = parse(line);
    if (parsed) return { where, value: parsed.value };
    throw i === 0 ? notRecords(text, label, { where, line, isArray, bad }) : bad(where, reasonOf(line));
  });
}

interface FirstLine {
  readonly where: string;
  readonly line: string;
  readonly isArray: boolean;
  readonly bad: BadRecord;
}

/** The error for text whose first line is no value: damaged, or one value over several lines. */
function notRecords(text: string, label: string, { where, line, isArray, bad }: FirstLine): UserError {
  if (isArray) return bad(label, reasonOf(text));
  return parse(text) ? bad(label, "one JSON object over several lines") : bad(where, reasonOf(line));
}

function parse(text: string): { readonly value: unknown } | null {
  try {
    return { value: JSON.parse(text) };
  } catch {
    return null;
  }
}

function reasonOf(text: string): string {
  try {
    JSON.parse(text);
    return "JSON";
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll(/\s+/g, " ") : "bad JSON";
  }
}
