import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const MAIN = path.resolve("dist/cli/main.js");

/** The bundled example checkpoint. */
export const EXAMPLE = path.resolve("examples/stories260k");

/** False before `npm run build`. */
export const isBuilt = existsSync(MAIN);

/** Runs the command line as a user would. */
export function layerwise(...args: string[]): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [MAIN, ...args], { encoding: "utf8", maxBuffer: 2 ** 26 });
}

/** Calls `use` with a new folder and removes it. */
export function withFolder<T>(use: (folder: string) => T): T {
  const folder = mkdtempSync(path.join(os.tmpdir(), "layerwise-e2e-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const result = use(folder);
    if (result instanceof Promise) result.then(remove, remove);
    else remove();
    return result;
  } catch (error) {
    remove();
    throw error;
  }
}

/** A copy of the example checkpoint, to be spoiled. */
export function copyExample(folder: string): string {
  const copy = path.join(folder, "checkpoint");
  cpSync(EXAMPLE, copy, { recursive: true });
  return copy;
}
