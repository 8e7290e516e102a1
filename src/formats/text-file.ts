import path from "node:path";
import { UserError } from "../errors.ts";
import { decodeText } from "./files.ts";
import { foreignFile } from "./foreign-file.ts";
import { holdsRecords } from "./json-records.ts";

const AS_TEXT = "give plain UTF-8 text";
/** Bytes from the start that tell UTF-16 without a mark: every other one is zero in most languages' letters. */
const SAMPLE_BYTES = 1024;

const TABLES: ReadonlyMap<string, string> = new Map([
  [".csv", "a table (CSV)"],
  [".tsv", "a table (TSV)"],
  [".tab", "a table (TSV)"],
]);
/** Columns of data sets that hold text: prose does not begin with their names alone on a line. */
const TEXT_COLUMNS =
  /^(text|content|messages|conversations?|prompt|instruction|question|sentence|document|completion)$/i;

/**
 * The characters of a text file, JSON or not. Throws UserError `FOREIGN_FILE` for a file of another kind, which is
 * named (Parquet, gzip, a web page, UTF-16, …), `NOT_TEXT` for other bytes.
 */
export function textOf(bytes: Uint8Array, label: string): string {
  const foreign = foreignFile(bytes, label, "text");
  if (foreign) throw foreign;
  if (isWide(bytes)) throw otherKind(label, "UTF-16 or UTF-32", "convert the file to UTF-8");
  const text = decodeText(bytes, label);
  if (text.includes("\0")) throw otherKind(label, "binary data", AS_TEXT);
  return text;
}

/**
 * The same of a file that is one running text. Throws UserError `FOREIGN_FILE` also for tables and JSON, of which the
 * syntax would count as text.
 */
export function plainTextOf(bytes: Uint8Array, label: string): string {
  const text = textOf(bytes, label);
  refuseTable(text, label);
  if (holdsRecords(text, label)) throw otherKind(label, "JSON", "write its texts into a plain text file");
  return text;
}

/** Throws UserError `FOREIGN_FILE` for a table, by the file's name or its first line. */
export function refuseTable(text: string, label: string): void {
  const what =
    TABLES.get(path.extname(label).toLowerCase()) ?? (hasColumns(text) ? "a table with named columns" : null);
  if (what) throw otherKind(label, what, 'give plain text, or JSON lines: {"text": …} for each row');
}

function hasColumns(text: string): boolean {
  const [first] = text.trimStart().split(/\r?\n/, 1);
  const names = first.split(/[,;\t]/).map((name) => name.replace(/^"(.*)"$/, "$1"));
  return names.length > 1 && names.every((name) => /^\w+$/.test(name)) && names.some((name) => TEXT_COLUMNS.test(name));
}

/** A byte order mark of UTF-16 or UTF-32, or zeros at nearly every even or nearly every odd place and not at others. */
function isWide(bytes: Uint8Array): boolean {
  const [a, b] = bytes;
  if ((a === 0xff && b === 0xfe) || (a === 0xfe && b === 0xff)) return true;
  const zeros = [0, 0];
  const length = Math.min(SAMPLE_BYTES, bytes.length);
  for (let i = 0; i < length; i++) if (bytes[i] === 0) zeros[i % 2]++;
  return length > 2 && Math.max(...zeros) > 0.4 * (length / 2) && Math.min(...zeros) === 0;
}

function otherKind(label: string, what: string, hint: string): UserError {
  return new UserError("FOREIGN_FILE", `${label}: expected text, found ${what}`, hint);
}
