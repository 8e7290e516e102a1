import { cpSync, existsSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { Random } from "../../src/tensor/random.ts";
import { pick } from "./hostile-values.ts";
import type { Mutate } from "./mutate-files.ts";
import { type Check, type Ending, faultOf, nameOf, runCheck } from "./run-check.ts";

/** A file of a base that is changed, and how. */
export interface Target {
  readonly file: string;
  readonly mutate: Mutate;
  /** Done once the changed file lies in the folder, such as hashing it anew. */
  readonly settle?: (folder: string, random: Random) => void;
}

/** A folder that is whole, whose files are changed one at a time. */
export interface Base {
  readonly folder: string;
  readonly targets: readonly Target[];
  /** Done with every change. */
  readonly checks: readonly Check[];
  /** The checks change the folder themselves: it is copied anew for each case. */
  readonly changes?: boolean;
  /** The files are refused unchanged too: which is right, and all that can be done with them. */
  readonly refused?: boolean;
}

/** A kind of file that is fuzzed. */
export interface Subject {
  readonly name: string;
  /** Makes the bases beneath a folder that is there. */
  readonly prepare: (root: string) => Promise<readonly Base[]>;
}

/** A subject whose bases are there. */
export interface PreparedSubject {
  readonly name: string;
  readonly bases: readonly Base[];
}

/** What a case showed. */
export interface CaseResult {
  /** The file that was changed. */
  readonly file: string;
  /** Null where every check ended well. */
  readonly fault: string | null;
  /** The check that did not end well. */
  readonly check: string | null;
  readonly stderr: string;
  /** Of the slowest check. */
  readonly ms: number;
  /** The checks ended by a result, and by a refusal. */
  readonly results: number;
  readonly refusals: number;
}

/** Longest that a check may take. */
const MAX_MS = 2000;

/** Makes a subject's bases, and sees that nothing is wrong with them before they are changed. */
export async function prepare({ name, prepare: make }: Subject, root: string): Promise<PreparedSubject> {
  const bases = await make(root);
  for (const base of bases) {
    if (base.changes) keepWhole(base.folder);
    for (const check of base.checks) {
      const { code, stderr } = await runCheck(check);
      if (code > (base.refused ? 1 : 0))
        throw new Error(`${name}: ${nameOf(check)}: status ${code} unchanged: ${stderr}`);
    }
    if (base.changes) restoreWhole(base.folder);
  }
  return { name, bases };
}

/**
 * Case `number` of a subject: the same for the same seed, whatever ran before. The folder is as before afterwards, or
 * stays changed with `keep`.
 */
export async function runCase(
  subject: PreparedSubject,
  { seed, number, keep = false }: { readonly seed: number; readonly number: number; readonly keep?: boolean },
): Promise<CaseResult> {
  const random = new Random(seed).fork(`${subject.name}/${number}`);
  const base = pick(random, subject.bases);
  const { file, restore } = change(base, random);
  try {
    const result = { ...(await runChecks(base.checks)), file };
    const [left] = openFilesIn(base.folder);
    return left === undefined ? result : { ...result, fault: `left open: ${left}` };
  } finally {
    if (!keep) restore();
  }
}

/** Changes a file of the base; `restore` puts it back. */
function change(base: Base, random: Random): { file: string; restore: () => void } {
  const target = pick(random, base.targets);
  const names = [target.file, ...(target.settle ? ["manifest.json"] : [])];
  const files = names.map((name) => path.join(base.folder, name));
  const kept = files.map((file) => readFileSync(file));
  const [file] = files;
  writeFileSync(file, target.mutate(kept[0], random));
  target.settle?.(base.folder, random);
  const restore = () => {
    for (const [i, name] of files.entries()) writeFileSync(name, kept[i]);
    if (base.changes) restoreWhole(base.folder);
  };
  return { file, restore };
}

async function runChecks(checks: readonly Check[]): Promise<Omit<CaseResult, "file">> {
  const endings: Ending[] = [];
  const counts = () => ({
    ms: Math.max(...endings.map(({ ms }) => ms)),
    results: endings.filter(({ code }) => code === 0).length,
    refusals: endings.filter(({ code }) => code === 1).length,
  });
  for (const check of checks) {
    const ending = await runCheck(check);
    endings.push(ending);
    const fault = faultOf(ending) ?? (ending.ms > MAX_MS ? `${Math.round(ending.ms)} ms` : null);
    if (fault !== null) return { fault, check: nameOf(check), stderr: ending.stderr, ...counts() };
  }
  return { fault: null, check: null, stderr: "", ...counts() };
}

/** Files of a folder that this process has open; none where the system does not tell. */
function openFilesIn(folder: string): string[] {
  const names = existsSync("/proc/self/fd") ? readdirSync("/proc/self/fd") : [];
  return names.flatMap((name) => {
    try {
      const file = readlinkSync(`/proc/self/fd/${name}`);
      return file.startsWith(folder) ? [file] : [];
    } catch {
      // Closed meanwhile.
      return [];
    }
  });
}

function keepWhole(folder: string): void {
  cpSync(folder, `${folder}.whole`, { recursive: true });
}

function restoreWhole(folder: string): void {
  rmSync(folder, { recursive: true });
  cpSync(`${folder}.whole`, folder, { recursive: true });
}
