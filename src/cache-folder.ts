import os from "node:os";
import path from "node:path";

/** Where files lie that can be made anew at any time: `layerwise` in XDG_CACHE_HOME, else in ~/.cache. */
export function cacheFolder(): string {
  const { XDG_CACHE_HOME } = process.env;
  const base = XDG_CACHE_HOME && path.isAbsolute(XDG_CACHE_HOME) ? XDG_CACHE_HOME : path.join(os.homedir(), ".cache");
  return path.join(base, "layerwise");
}
