import { promises as fs } from "node:fs";
import path from "node:path";
import { UserError } from "../errors.ts";
import { fileError } from "./files.ts";

/** By what a change of a file is noticed without reading it. */
export interface FileMark {
  readonly path: string;
  readonly bytes: number;
  /** When its contents were changed, in nanoseconds since 1970; anybody may set it back. */
  readonly modifiedNs: string;
  /** When contents, times, name or rights were changed: the system's own, which nobody can set. */
  readonly changedNs: string;
}

/** A file's mark, of an open file where given. Throws UserError `FILE_*` where it cannot be looked at. */
export async function markOf(file: string, open?: fs.FileHandle): Promise<FileMark> {
  const look = open ? open.stat({ bigint: true }) : fs.stat(file, { bigint: true });
  const { size, mtimeNs, ctimeNs } = await look.catch((error: unknown) => {
    throw fileError(error, file, "read");
  });
  return { path: file, bytes: Number(size), modifiedNs: String(mtimeNs), changedNs: String(ctimeNs) };
}

/** Marks without the folders, which may move, as plain JSON for keys. */
export function keyOfMarks(marks: readonly FileMark[]): Readonly<Record<string, unknown>>[] {
  return marks.map(({ path: file, ...mark }) => ({ name: path.basename(file), ...mark }));
}

/**
 * Throws UserError `SOURCE_CHANGED` where a path does not lead any more to the file that was marked, as it then was:
 * written to, written back, replaced or gone.
 */
export async function assertUnchanged(marks: readonly FileMark[]): Promise<void> {
  for (const mark of marks) {
    const now = await markOf(mark.path).catch(() => null);
    const isSame = now?.bytes === mark.bytes && now.modifiedNs === mark.modifiedNs && now.changedNs === mark.changedNs;
    if (!isSame) throw changedSource(mark.path);
  }
}

/** The error for a file that is not any more what it was when the run began to read it. */
export function changedSource(file: string): UserError {
  return new UserError(
    "SOURCE_CHANGED",
    `${file}: expected a file that stays as it is, found that it changed while it was read`,
    "let nothing write to it, then run the command again: what was finished before is kept",
  );
}
