import { loadNative } from "../../../src/native/load.ts";

const native = loadNative();

/** False where the addon is not built or switched off: suites that need it are then skipped. */
export const HAS_ADDON = native.addon !== null;

/** Name of a suite that needs the addon: where it is skipped the one line that says why. */
export function needsAddon(name: string): string {
  return native.addon ? name : `${name} (skipped: ${native.reason})`;
}
