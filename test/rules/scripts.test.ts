import { readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { CODE_FILES } from "./source-files.ts";

const SCRIPTS = CODE_FILES.filter((file) => file.endsWith(".mjs"));

/** What a script takes of the project: a module of the build or a script beside it, and names that it must export. */
interface Taken {
  readonly module: string;
  readonly name: string;
}

/** Of the scripts' static imports, and of `await import`s that are taken apart at once. No compiler looks at them. */
function takenBy(file: string): Taken[] {
  const text = readFileSync(file, "utf8");
  const named = [
    ...text.matchAll(/^import (?<what>[^";]+) from "(?<from>\.[^"]+)"/gm),
    ...text.matchAll(/const (?<what>\{[^}]+\}) = await import\(\s*"(?<from>\.[^"]+)"/g),
  ];
  return named.flatMap(({ groups: { what = "", from = "" } = {} }) => {
    const module = path.posix.join(path.posix.dirname(file), from);
    const space = /^\* as (\w+)$/.exec(what.trim())?.[1];
    const uses = space
      ? text.matchAll(new RegExp(`\\b${space}\\.(\\w+)`, "g"))
      : what.matchAll(/(\w+)(?:\s*(?:as|:)\s*\w+)?/g);
    return [...uses].map(([, name]) => ({ module, name }));
  });
}

/** The module that a script loads: of the build, the source that it is built from. */
const sourceOf = (module: string) => path.resolve(module.replace(/^dist\/(.*)\.js$/, "src/$1.ts"));

describe("scripts", () => {
  it("take of the build, and of each other, what is there", async () => {
    const taken = SCRIPTS.flatMap((file) => takenBy(file).map((one) => ({ file, ...one })));
    expect(taken.filter(({ module }) => module.startsWith("dist/")).length).toBeGreaterThan(40);
    const missing: string[] = [];
    for (const { file, module, name } of taken) {
      const names = await exportsOf(module);
      if (!names.has(name)) missing.push(`${file}: ${name} of ${module}`);
    }
    expect(missing).toEqual([]);
  });
});

const known = new Map<string, Set<string>>();

/** Names that a module exports: of the build by loading it; of a script, which may act when loaded, by reading. */
async function exportsOf(module: string): Promise<Set<string>> {
  const found = known.get(module) ?? new Set(module.startsWith("dist/") ? await loaded(module) : read(module));
  known.set(module, found);
  return found;
}

const loaded = async (module: string) => Object.keys(await import(sourceOf(module)));

function read(module: string): string[] {
  const text = readFileSync(module, "utf8");
  const declared = text.matchAll(/^export (?:async )?(?:function\*?|const|class|let) (?:(\w+)|\{([^}]+)\})/gm);
  return [...declared].flatMap(([, name, names]) => (name ? [name] : names.split(",").map((one) => one.trim())));
}
