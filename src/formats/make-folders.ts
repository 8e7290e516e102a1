import { promises as fs } from "node:fs";
import path from "node:path";
import { fileError } from "./files.ts";

/**
 * Makes a folder and those above it. Throws UserError when it cannot be made. (Node's own recursive mkdir never ends
 * where a file system answers "no such folder", as /proc does.)
 */
export async function makeFolders(folder: string): Promise<void> {
  const missing: string[] = [];
  let at = path.resolve(folder);
  while (!(await exists(at))) {
    missing.push(at);
    at = path.dirname(at);
  }
  try {
    for (const each of missing.reverse()) await makeFolder(each);
  } catch (error) {
    throw fileError(error, folder, "make the folder");
  }
}

/** Makes a folder and removes those beside it: what is kept under one name at a time. */
export async function makeOnly(folder: string): Promise<void> {
  const parent = path.dirname(folder);
  await makeFolders(folder);
  try {
    for (const name of await fs.readdir(parent)) {
      if (name !== path.basename(folder)) await fs.rm(path.join(parent, name), { recursive: true, force: true });
    }
  } catch (error) {
    throw fileError(error, parent, "write");
  }
}

/** Removes a folder with all that it holds, where there is one. */
export async function removeFolder(folder: string): Promise<void> {
  try {
    await fs.rm(folder, { recursive: true, force: true });
  } catch (error) {
    throw fileError(error, folder, "remove");
  }
}

/** Another process may have made it meanwhile. */
async function makeFolder(folder: string): Promise<void> {
  try {
    await fs.mkdir(folder);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

async function exists(folder: string): Promise<boolean> {
  return fs.stat(folder).then(
    () => true,
    () => false,
  );
}
