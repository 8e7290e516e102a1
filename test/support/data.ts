import { existsSync } from "node:fs";
import path from "node:path";

/** Folder of the large texts and of the models that cannot ship: LAYERWISE_DATA; docs/results.md lists its files. */
const root = process.env.LAYERWISE_DATA;

/** A trained Llama of 656 K parameters, whose licence is not confirmed. */
export const TINYSTORIES_656K = "models/tinystories-656k";

/** Path of a file of the data folder; only for tests that are skipped where it is absent. */
export function dataFile(file: string): string {
  if (!root) throw new Error("LAYERWISE_DATA is not set");
  return path.resolve(root, file);
}

/** Whether a file or folder of the data folder is there. */
export function hasData(file: string): boolean {
  return root !== undefined && root !== "" && existsSync(dataFile(file));
}

/** Name of a suite that needs a file of the data folder: where it is skipped the one line that says why. */
export function needsData(name: string, file: string): string {
  return hasData(file) ? name : `${name} (skipped: ${file} of LAYERWISE_DATA is absent)`;
}
