import { existsSync } from "node:fs";
import os from "node:os";
import path from "node:path";

const cache = process.env.XDG_CACHE_HOME ?? path.join(os.homedir(), ".cache");

/** The SmolLM2-135M checkpoint, as `npm run model:smollm2` makes it. */
export const SMOLLM2 = path.join(cache, "layerwise-models/smollm2-135m");
export const HAS_SMOLLM2 = existsSync(SMOLLM2);

/** Name of a suite that needs the checkpoint: where it is skipped the one line that says why. */
export function needsSmollm2(name: string): string {
  return HAS_SMOLLM2 ? name : `${name} (skipped: its checkpoint is absent, npm run model:smollm2 makes it)`;
}
