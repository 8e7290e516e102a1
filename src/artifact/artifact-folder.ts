import { promises as fs } from "node:fs";
import path from "node:path";
import { UserError } from "../errors.ts";
import { fileError, partialPath, syncFolder } from "../formats/files.ts";
import { makeFolders, removeFolder } from "../formats/make-folders.ts";
import { MANIFEST_NAME } from "./manifest.ts";

/** Names in a folder; null where there is nothing of that name. */
async function namesIn(folder: string): Promise<string[] | null> {
  try {
    return await fs.readdir(folder);
  } catch (error) {
    const failure = fileError(error, folder, "read");
    if (failure instanceof UserError && failure.code === "FILE_NOT_FOUND") return null;
    throw failure;
  }
}

/**
 * Throws UserError OUTPUT_EXISTS where something stands in the way of an artifact: anything at all, or with `overwrite`
 * anything but an artifact or an empty folder.
 */
export async function checkTarget(folder: string, overwrite: boolean): Promise<void> {
  const names = await namesIn(folder);
  if (names === null || names.length === 0) return;
  if (overwrite && names.includes(MANIFEST_NAME)) return;
  const found = names.includes(MANIFEST_NAME) ? "an artifact" : "a folder with other files";
  const hint = names.includes(MANIFEST_NAME)
    ? "choose another name, or allow it to be overwritten"
    : "choose another name";
  throw new UserError("OUTPUT_EXISTS", `${folder}: expected no such folder, found ${found}`, hint);
}

/** An empty folder, whatever was there before. */
export async function emptyFolder(folder: string): Promise<void> {
  await removeFolder(folder);
  await makeFolders(folder);
}

/**
 * Gives a finished folder its final name; an artifact that stood there is removed only after the new one is in its
 * place.
 */
export async function moveIntoPlace(from: string, to: string, overwrite: boolean): Promise<void> {
  await checkTarget(to, overwrite);
  // A name that only we give: `<to>.old` may be somebody's backup.
  const aside = `${partialPath(to)}.old`;
  try {
    await fs.rm(aside, { recursive: true, force: true });
    const replaces = (await namesIn(to)) !== null;
    if (replaces) await fs.rename(to, aside);
    await fs.rename(from, to).catch(async (error: unknown) => {
      if (replaces) await fs.rename(aside, to).catch(() => undefined);
      throw error;
    });
    await fs.rm(aside, { recursive: true, force: true });
  } catch (error) {
    throw fileError(error, to, "write");
  }
  await syncFolder(path.dirname(path.resolve(to)));
}
