import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";

const SOURCE = path.resolve("src");

/** Every source file, relative to src/, with forward slashes. */
export const SOURCE_FILES = readdirSync(SOURCE, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts"))
  .map((file) => file.split(path.sep).join("/"))
  .sort();

/** Hand-written code of the whole project: TypeScript, scripts, C++; paths from its root, with forward slashes. */
export const CODE_FILES = ["src", "experiments", "test", "scripts"].flatMap((folder) =>
  readdirSync(folder, { recursive: true, encoding: "utf8" })
    .map((file) => `${folder}/${file.split(path.sep).join("/")}`)
    .filter((file) => /\.(ts|mts|mjs|cjs|cpp|h|sh)$/.test(file))
    .filter((file) => !/\/(node_modules|build|prebuilds|fixtures)\//.test(file)),
);

/** Text of a source file. */
export function textOf(file: string): string {
  return readFileSync(path.join(SOURCE, file), "utf8");
}

/** One import of a file: the module's name, and whether the types alone are taken (gone once compiled). */
export interface Import {
  readonly module: string;
  readonly typesOnly: boolean;
  readonly lazy: boolean;
}

/** Imports and re-exports of a source, static and lazy. */
export function importsOf(text: string): Import[] {
  const statements = [...text.matchAll(/^\s*(import|export)\b([^;"]*?)(?:from\s*)?"([^"]+)"/gm)].map((match) => ({
    module: match[3],
    typesOnly: /^\s*type\b/.test(match[2]),
    lazy: false,
  }));
  const lazy = [...text.matchAll(/\bimport\(\s*"([^"]+)"/g)].map((match) => ({
    module: match[1],
    typesOnly: false,
    lazy: true,
  }));
  return [...statements, ...lazy];
}

/** The source file that a relative import names, relative to src/. */
export function resolveImport(file: string, module: string): string {
  return path.posix.normalize(path.posix.join(path.posix.dirname(file), module));
}

/** All that a file loads when it is imported (lazy imports apart): source files and module names. */
export function reachableFrom(entry: string): { files: Set<string>; modules: Set<string> } {
  const files = new Set<string>();
  const modules = new Set<string>();
  const visit = (file: string) => {
    if (files.has(file)) return;
    files.add(file);
    for (const { module, typesOnly, lazy } of importsOf(textOf(file))) {
      if (typesOnly || lazy) continue;
      if (module.startsWith(".")) visit(resolveImport(file, module));
      else modules.add(module);
    }
  };
  visit(entry);
  return { files, modules };
}
