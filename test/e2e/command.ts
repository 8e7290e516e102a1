import { cpSync, mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** The bundled example checkpoint. */
export const EXAMPLE = path.resolve("examples/stories260k");

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
