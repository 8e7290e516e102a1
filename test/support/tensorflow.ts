import { existsSync, readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { describe } from "vitest";
import { BACKENDS, type Backend } from "../../src/runtime/backend-names.ts";

const MISSING = whyMissing();

/** False where tfjs-node is absent or has no library: suites that need TensorFlow itself are then skipped. */
export const HAS_TENSORFLOW = MISSING === null;

/** Name of a suite that needs TensorFlow: where it is skipped the one line that says why. */
export function needsTensorflow(name: string): string {
  return MISSING === null ? name : `${name} (skipped: ${MISSING})`;
}

/** A suite on every backend, or on some; `%s` in its name is the backend's. */
export function describeOnBackends(
  name: string,
  suite: (backend: Backend) => void,
  backends: readonly Backend[] = BACKENDS,
): void {
  for (const backend of backends) {
    const named = name.replace("%s", backend);
    if (backend === "tensorflow") describe.skipIf(!HAS_TENSORFLOW)(needsTensorflow(named), () => suite(backend));
    else describe(named, () => suite(backend));
  }
}

/** Without loading it: that would fix its number of threads for the tests that follow. */
function whyMissing(): string | null {
  let manifest: string;
  try {
    manifest = createRequire(import.meta.url).resolve("@tensorflow/tfjs-node/package.json");
  } catch {
    return "tfjs-node is not installed";
  }
  const lib = path.join(path.dirname(manifest), "lib");
  const folders = existsSync(lib) ? readdirSync(lib) : [];
  if (folders.some((folder) => existsSync(path.join(lib, folder, "tfjs_binding.node")))) return null;
  return "tfjs-node has no library; scripts/install-tfjs-node.sh makes it work";
}
