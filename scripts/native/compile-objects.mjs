// Compiles C++ sources on all cores and keeps the objects: one is compiled anew only where a file that it was made from
// has changed.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";

/** Runs a command to its end; resolves to its status and everything it printed. */
export function runCommand(command, args) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
    const output = [];
    child.stdout.on("data", (chunk) => output.push(chunk));
    child.stderr.on("data", (chunk) => output.push(chunk));
    child.on("error", (error) => resolve({ status: 1, output: error.message }));
    child.on("close", (status) => resolve({ status: status ?? 1, output: Buffer.concat(output).toString() }));
  });
}

/** Paths in a make rule as the compiler writes it with -MMD. */
function dependencies(rule) {
  const text = rule.slice(rule.indexOf(":") + 1).replace(/\\\n/g, " ");
  return text.split(/(?<!\\)\s+/).filter((path) => path !== "");
}

/** Hash of the contents of files, or null where one is gone. */
function contentsHash(paths) {
  const hash = createHash("sha256");
  for (const path of paths) {
    if (!existsSync(path)) return null;
    hash.update(`${path}\0`).update(readFileSync(path));
  }
  return hash.digest("hex");
}

/** The object of an earlier run, if it is of these very files. */
function keptObject(object) {
  const record = `${object}.json`;
  if (!existsSync(object) || !existsSync(record)) return false;
  const { paths, hash } = JSON.parse(readFileSync(record, "utf8"));
  return contentsHash(paths) === hash;
}

async function compile(compiler, { source, flags }, folder) {
  const name = createHash("sha256")
    .update([compiler, source, ...flags].join("\0"))
    .digest("hex")
    .slice(0, 12);
  const object = join(folder, `${basename(source, ".cpp")}-${name}.o`);
  if (keptObject(object)) return object;
  const partial = `${object}.${process.pid}`;
  const command = [...flags, "-MMD", "-MF", `${partial}.d`, "-c", source, "-o", partial];
  const { status, output } = await runCommand(compiler, command);
  if (status !== 0) throw new Error(`${compiler} ${basename(source)} failed:\n${output}`);
  const paths = dependencies(readFileSync(`${partial}.d`, "utf8"));
  const hash = contentsHash(paths);
  renameSync(partial, object);
  renameSync(`${partial}.d`, `${object}.d`);
  writeFileSync(`${object}.json`, JSON.stringify({ paths, hash }));
  return object;
}

/** Objects of `units` ({ source, flags }) in their order; throws with the compiler's words where one fails. */
export async function compileObjects(compiler, units, folder) {
  mkdirSync(folder, { recursive: true });
  const objects = [];
  let next = 0;
  const worker = async () => {
    while (next < units.length) {
      const index = next++;
      objects[index] = await compile(compiler, units[index], folder);
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return objects;
}

/** Links objects to a program in the folder, which appears under its name when it is whole. */
export async function linkProgram(compiler, flags, objects, folder, name) {
  const program = join(folder, name);
  const partial = `${program}.${process.pid}`;
  const { status, output } = await runCommand(compiler, [...flags, ...objects, "-o", partial]);
  if (status !== 0) throw new Error(`linking ${name} failed:\n${output}`);
  renameSync(partial, program);
  return program;
}
