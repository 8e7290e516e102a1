import v8 from "node:v8";
import vm from "node:vm";

/**
 * Keeps the young generation of the heap at the size that it starts with: reading a tokenizer would grow it to 32 MiB,
 * which the process keeps. Scavenges come more often then, each of them short. Takes effect where it is called before
 * the heap has grown.
 */
export function keepHeapSmall(): void {
  v8.setFlagsFromString("--semi-space-growth-factor=1");
}

/** Takes `keepHeapSmall` back: V8's own factor. */
export function letHeapGrow(): void {
  v8.setFlagsFromString("--semi-space-growth-factor=2");
}

/**
 * Collects all garbage now, and closes the gaps that it leaves. Opening a model leaves some 15 MiB behind, the parsed
 * files, and the collector would leave them there while the model runs, which makes next to no garbage.
 */
export function collectGarbage(): void {
  v8.setFlagsFromString("--expose-gc");
  const gc: unknown = vm.runInNewContext("gc");
  if (typeof gc !== "function") return;
  v8.setFlagsFromString("--compact-on-every-full-gc");
  gc();
  v8.setFlagsFromString("--no-compact-on-every-full-gc");
}
