import { constants, promises as fs, type Stats } from "node:fs";
import path from "node:path";
import type { z } from "zod";
import { UserError } from "../errors.ts";
import { formatBytes } from "../size-text.ts";
import { foreignFile, refusePointer } from "./foreign-file.ts";
import { JsonError, parseJson } from "./json.ts";
import { MAX_DOCUMENT_VALUES } from "./limits.ts";

/**
 * The largest JSON file read whole: the largest tokenizer.json known has some 35 MiB. Its text takes up to twice as
 * much beside it.
 */
const MAX_JSON_BYTES = 100 * 1024 * 1024;

/** The largest YAML file: recipes and device profiles are written by hand. */
const MAX_YAML_BYTES = 1024 * 1024;

/** Bytes of one read or write: Node takes at most 2^31 - 1, and ends the process above. */
export const MAX_IO_BYTES = 2 ** 30;

/** What a failed system call means to the user, by errno name. */
const FILE_ERRORS: ReadonlyMap<string, { code: string; what: string; hint: string }> = new Map([
  ["ENOENT", { code: "FILE_NOT_FOUND", what: "no such file or folder", hint: "check the path" }],
  ["EACCES", { code: "FILE_ACCESS", what: "permission denied", hint: "check the permissions of the path" }],
  ["EPERM", { code: "FILE_ACCESS", what: "operation not permitted", hint: "check the permissions of the path" }],
  ["EROFS", { code: "FILE_READ_ONLY", what: "the disk is read-only", hint: "choose a folder that can be written" }],
  ["ENOSPC", { code: "DISK_FULL", what: "the disk is full", hint: "free space or choose another folder" }],
  ["EDQUOT", { code: "DISK_FULL", what: "the disk quota is used up", hint: "free space or choose another folder" }],
  ["EFBIG", { code: "DISK_FULL", what: "too large for this disk", hint: "choose another folder" }],
  ["EISDIR", { code: "FILE_IS_FOLDER", what: "expected a file, found a folder", hint: "name the file itself" }],
  ["ENOTDIR", { code: "NOT_A_FOLDER", what: "expected a folder, found a file", hint: "check the path" }],
  ["EEXIST", { code: "FILE_EXISTS", what: "it exists already", hint: "choose another name or remove it" }],
  ["ENOTEMPTY", { code: "FILE_EXISTS", what: "the folder is not empty", hint: "choose another name or empty it" }],
  ["ENAMETOOLONG", { code: "FILE_NAME", what: "the name is too long", hint: "choose a shorter name" }],
  ["ELOOP", { code: "FILE_NAME", what: "too many symbolic links", hint: "check the path" }],
  ["EMFILE", { code: "TOO_MANY_FILES", what: "too many open files", hint: "raise the limit (ulimit -n)" }],
  ["ENFILE", { code: "TOO_MANY_FILES", what: "too many open files", hint: "close other programs" }],
  ["EBUSY", { code: "FILE_BUSY", what: "another program uses it", hint: "close that program" }],
  ["EIO", { code: "FILE_IO", what: "the disk reported an error", hint: "check the disk" }],
]);

function errnoOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

/**
 * The error to throw when a file operation failed: a one-line UserError for what a user can mend (missing, forbidden,
 * read-only, full, folder), anything else unchanged. `doing` completes "cannot …": "read", "write".
 */
export function fileError(error: unknown, file: string, doing: string): Error {
  if (error instanceof UserError) return error;
  const known = FILE_ERRORS.get(errnoOf(error) ?? "");
  if (known) return new UserError(known.code, `${file}: cannot ${doing}: ${known.what}`, known.hint);
  return error instanceof Error ? error : new Error(`${file}: cannot ${doing}: ${String(error)}`);
}

/** Where a file is written before it gets its final name. */
export function partialPath(file: string): string {
  return `${file}.partial`;
}

/** Makes a rename in `folder` durable; file systems that cannot sync a folder are left alone. */
export async function syncFolder(folder: string): Promise<void> {
  let handle: fs.FileHandle | undefined;
  try {
    handle = await fs.open(folder, constants.O_RDONLY);
    await handle.sync();
  } catch {
    // Windows and some network file systems refuse to open or sync a folder: the rename itself has succeeded.
  } finally {
    await handle?.close();
  }
}

/**
 * UserError where the name of a file that is to be written belongs to something else: the rename in the end would put a
 * file in the place of a device.
 */
export async function checkTarget(file: string): Promise<void> {
  const found = await fs.stat(file).catch(() => null);
  if (found && !found.isFile()) throw noFile(file, found, "name a new file");
}

/** Writes a whole file under a temporary name beside it, syncs and renames: the final name never holds half a file. */
export async function writeFileAtomic(file: string, data: string | Uint8Array): Promise<void> {
  await checkTarget(file);
  const partial = partialPath(file);
  try {
    const handle = await fs.open(partial, "w");
    try {
      await handle.writeFile(data);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(partial, file);
  } catch (error) {
    await fs.rm(partial, { force: true }).catch(() => undefined);
    throw fileError(error, file, "write");
  }
  await syncFolder(path.dirname(file));
}

/** Removes a file where there is one. */
export async function removeFile(file: string): Promise<void> {
  try {
    await fs.rm(file, { force: true });
  } catch (error) {
    throw fileError(error, file, "remove");
  }
}

/** Names in a folder, sorted; UserError when it is missing, forbidden, or a file. */
export async function listFolder(folder: string): Promise<string[]> {
  try {
    return (await fs.readdir(folder)).sort();
  } catch (error) {
    throw fileError(error, folder, "read");
  }
}

/** Whether a folder of that name can be seen. */
export async function isFolder(folder: string): Promise<boolean> {
  return fs.stat(folder).then(
    (found) => found.isDirectory(),
    () => false,
  );
}

/** Whether a regular file of that name can be seen. */
export async function isFile(file: string): Promise<boolean> {
  return fs.stat(file).then(
    (found) => found.isFile(),
    () => false,
  );
}

/**
 * Size of a regular file. UserError when it is missing, forbidden, or something else: a pipe would be waited for, a
 * device has no end. Looked at before it is opened.
 */
export async function sizeOfFile(file: string): Promise<number> {
  try {
    const found = await fs.stat(file);
    if (found.isFile()) return found.size;
    throw noFile(file, found, "name the file itself");
  } catch (error) {
    throw fileError(error, file, "read");
  }
}

function noFile(file: string, found: Stats, hint: string): UserError {
  const [code, what] = found.isDirectory() ? ["FILE_IS_FOLDER", "a folder"] : ["NOT_A_FILE", "a pipe or a device"];
  return new UserError(code, `${file}: expected a file, found ${what}`, hint);
}

/**
 * The whole file; UserError when it cannot be read, is no regular file, has more than `maxBytes`, or is a pointer to
 * the file (Git LFS).
 */
export async function readFileBytes(file: string, maxBytes = MAX_JSON_BYTES): Promise<Uint8Array> {
  const size = await sizeOfFile(file);
  if (size > maxBytes) {
    throw new UserError(
      "FILE_TOO_LARGE",
      `${file}: expected at most ${formatBytes(maxBytes)}, found ${formatBytes(size)}`,
    );
  }
  try {
    const bytes = await fs.readFile(file);
    refusePointer(bytes, file);
    return bytes;
  } catch (error) {
    throw fileError(error, file, "read");
  }
}

/** UTF-8 bytes as text, without a leading BOM; UserError `NOT_TEXT` for other bytes. */
export function decodeText(bytes: Uint8Array, label: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new UserError("NOT_TEXT", `${label}: expected UTF-8 text, found other bytes`, "convert the file to UTF-8");
  }
}

/** The text of a recipe or a device profile; UserError as {@link readFileBytes}, or `NOT_TEXT`. */
export async function readYamlText(file: string): Promise<string> {
  return decodeText(await readFileBytes(file, MAX_YAML_BYTES), file);
}

/**
 * UTF-8 JSON text as a value; UserError `NOT_JSON` with the parser's one-line reason, `JSON_LIMIT`, `FOREIGN_FILE`
 * where it is another kind of file. A leading BOM is allowed.
 */
export function parseJsonBytes(bytes: Uint8Array, label: string, maxValues?: number): unknown {
  try {
    return parseJson(jsonText(bytes), maxValues);
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const other = foreignFile(bytes, label, "JSON");
    throw other ?? new UserError(error.code, `${label}: expected JSON: ${error.message}`, "the file is damaged");
  }
}

function jsonText(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new JsonError("NOT_JSON", "bytes that are not UTF-8 text");
  }
}

/** `value` as the schema's type; UserError `BAD_FIELD` naming the first field that does not fit. */
export function parseWith<T>(schema: z.ZodType<T>, value: unknown, label: string): T {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const issue = result.error.issues[0];
  const where = issue.path.length > 0 ? `${issue.path.map(String).join(".")}: ` : "";
  const more = result.error.issues.length > 1 ? ` (and ${result.error.issues.length - 1} more)` : "";
  throw new UserError("BAD_FIELD", `${label}: ${where}${issue.message.replaceAll(/\s+/g, " ")}${more}`);
}

/** A JSON file, checked by `schema` where given. `maxValues`: the most that it may hold. */
export async function readJsonFile(file: string): Promise<unknown>;
export async function readJsonFile<T>(file: string, schema: z.ZodType<T>, maxValues?: number): Promise<T>;
export async function readJsonFile<T>(
  file: string,
  schema?: z.ZodType<T>,
  maxValues = MAX_DOCUMENT_VALUES,
): Promise<unknown> {
  const value = parseJsonBytes(await readFileBytes(file), file, maxValues);
  return schema ? parseWith(schema, value, file) : value;
}
