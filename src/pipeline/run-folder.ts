import { promises as fs } from "node:fs";
import path from "node:path";
import { z } from "zod";
import { nullOn, throwIfAborted, UserError } from "../errors.ts";
import { fileError, isFile, parseWith, readJsonFile, writeFileAtomic } from "../formats/files.ts";
import { parseJson } from "../formats/json.ts";
import { MAX_JSON_VALUES } from "../formats/limits.ts";
import { type FolderLock, lockFolder } from "../formats/lock.ts";
import { makeFolders } from "../formats/make-folders.ts";
import { hashOf, readableJson } from "./step-key.ts";

/** How a step went. */
export interface StepReport {
  readonly name: string;
  readonly key: string;
  /** True when the result was there already. */
  readonly cached: boolean;
  /**
   * Why an earlier result was not taken: "its inputs changed", "scores.json is damaged: …"; null where there was none.
   */
  readonly note: string | null;
  readonly elapsedMs: number;
}

/** Settings of a run folder. */
export interface RunFolderOptions {
  /** Part of every step's key: another version computes anew. */
  readonly toolVersion: string;
  /** Clock in milliseconds, for reports only. */
  readonly now?: (() => number) | undefined;
  readonly onStep?: ((report: StepReport) => void) | undefined;
  /** Checked before each step; steps check it inside. */
  readonly signal?: AbortSignal | undefined;
}

/** A step's result; `key` goes into the inputs of the steps that depend on it. */
export interface StepResult<T> {
  readonly value: T;
  readonly key: string;
  readonly cached: boolean;
}

/** What a computation is given. */
export interface StepWork<T = unknown> {
  /** Names partial work: what it may be gone on with under. */
  readonly key: string;
  /** What the key was made of. */
  readonly inputs: unknown;
  /**
   * What the step's file holds from other inputs, of which parts may serve again; null where there is none of this tool
   * version.
   */
  earlier(): Promise<{ readonly inputs: unknown; readonly value: T } | null>;
  /**
   * A folder for partial work: kept when the step is interrupted, found again under the same key, removed at the end.
   */
  scratch(): Promise<string>;
}

export interface StepOptions<T> {
  /** Says whether what a saved result refers to (files beside it) is still there; null or why not. */
  readonly check?: ((value: T) => Promise<string | null>) | undefined;
  /** What partial work depends on beside the inputs, plain JSON: it is not checked as a whole result is. */
  readonly partial?: unknown;
}

interface StepToCompute<T> extends NamedResult<T>, Pick<StepOptions<T>, "partial"> {
  readonly key: string;
  readonly inputs: unknown;
  readonly compute: (work: StepWork<T>) => Promise<T>;
}

const StepName = z.string().regex(/^[a-z][a-z0-9-]*$/, "a step's name is lower-case words joined by hyphens");

/** Of the form of keys and files: what was saved in another one is computed anew. Form 1 had no such field. */
const FORM = 2;

/** What `<name>.json` holds. */
const StepFile = z.object({ form: z.number().default(1), key: z.string(), inputs: z.unknown(), value: z.unknown() });

/**
 * Opens (and makes) a run folder for writing. Throws UserError `RUN_FOLDER_LOCKED` when another process writes to it,
 * `RUN_FOLDER_MODEL` where a model lies in it, `FILE_*` or `DISK_FULL` when it cannot be made or written.
 */
export async function openRunFolder(folder: string, options: RunFolderOptions): Promise<RunFolder> {
  for (const name of MODEL_FILES) {
    if (await isFile(path.join(folder, name))) throw modelsFolder(folder, name);
  }
  await makeFolders(folder);
  return new RunFolder(folder, options, await lockFolder(folder));
}

/** Files that tell a checkpoint's or an artifact's folder: neither is to be mixed with what a run leaves. */
const MODEL_FILES = ["config.json", "manifest.json"];

function modelsFolder(folder: string, name: string): UserError {
  return new UserError(
    "RUN_FOLDER_MODEL",
    `${folder}: expected a run folder or a new one, found a model's own (${name})`,
    "choose another folder, such as outputs/NAME",
  );
}

/** What names a step's file, and what it holds. */
export interface NamedResult<T> {
  readonly name: string;
  readonly schema: z.ZodType<T>;
}

/**
 * What a step has left in a run folder, whatever its inputs were; null where it has not run. Needs no lock. Throws
 * UserError `NOT_JSON`,
 * `BAD_FIELD` or `FILE_*` for a file that is damaged or cannot be read.
 */
export async function peek<T>(folder: string, { name, schema }: NamedResult<T>): Promise<T | null> {
  return nullOn("FILE_NOT_FOUND", () => readResult(fileOf(folder, name), schema));
}

/**
 * A result out of a step's file, or out of a file that holds nothing else. Throws UserError as {@link peek}, also where
 * there is none.
 */
export async function readResult<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const content = await readJsonFile(file, z.unknown(), MAX_JSON_VALUES);
  const saved = StepFile.safeParse(content);
  return parseWith(schema, saved.success ? saved.data.value : content, file);
}

/**
 * The working folder of one offline run: every step leaves a file in it; a step whose inputs are the same is not
 * repeated.
 */
export class RunFolder {
  readonly folder: string;
  private readonly options: RunFolderOptions;
  private readonly lock: FolderLock;

  constructor(folder: string, options: RunFolderOptions, lock: FolderLock) {
    this.folder = folder;
    this.options = options;
    this.lock = lock;
  }

  /**
   * The saved result of the same inputs, or a computed one, which is saved as `<name>.json`. Results must be plain
   * JSON; what comes back is the schema's reading of the saved text, computed or not. A damaged file is computed anew.
   */
  async step<T>(
    name: string,
    schema: z.ZodType<T>,
    inputs: unknown,
    compute: (work: StepWork<T>) => Promise<T>,
    { check, partial }: StepOptions<T> = {},
  ): Promise<StepResult<T>> {
    StepName.parse(name);
    const now = this.options.now ?? (() => performance.now());
    const began = now();
    const key = this.keyOf(name, inputs);
    const saved = await this.readStep(name, key, schema);
    const missing = "value" in saved && check ? await check(saved.value) : null;
    const cached = "value" in saved && missing === null;
    const value = cached ? saved.value : await this.computeStep({ name, key, schema, inputs, partial, compute });
    const note = "note" in saved ? saved.note : missing;
    this.options.onStep?.({ name, key, cached, note, elapsedMs: now() - began });
    return { value, key, cached };
  }

  /** Lets the next writer in. */
  async close(): Promise<void> {
    await this.lock.release();
  }

  private async computeStep<T>({ name, key, schema, inputs, partial, compute }: StepToCompute<T>): Promise<T> {
    throwIfAborted(this.options.signal);
    this.lock.assertHeld();
    const partialKey = partial === undefined ? key : hashOf({ key, partial });
    const value = await compute({
      key: partialKey,
      inputs,
      earlier: () => this.earlier({ name, schema }),
      scratch: () => this.makeScratch(name, partialKey),
    });
    const text = readableJson({ form: FORM, key, inputs, value });
    const kept = schema.parse(StepFile.parse(parseJson(text)).value);
    this.lock.assertHeld();
    await writeFileAtomic(fileOf(this.folder, name), text);
    await this.removeScratch(name, null);
    return kept;
  }

  private async readStep<T>(
    name: string,
    key: string,
    schema: z.ZodType<T>,
  ): Promise<{ value: T } | { note: string | null }> {
    const file = fileOf(this.folder, name);
    let text: string;
    try {
      text = await fs.readFile(file, "utf8");
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ENOENT") return { note: null };
      throw fileError(error, file, "read");
    }
    try {
      const saved = StepFile.parse(parseJson(text));
      if (saved.form !== FORM) return { note: `${name}.json is of another version of layerwise` };
      return saved.key === key ? { value: schema.parse(saved.value) } : { note: "its inputs changed" };
    } catch {
      return { note: `${name}.json is damaged` };
    }
  }

  private async earlier<T>({ name, schema }: NamedResult<T>): ReturnType<StepWork<T>["earlier"]> {
    try {
      const saved = await readJsonFile(fileOf(this.folder, name), StepFile, MAX_JSON_VALUES);
      if (saved.form !== FORM || saved.key !== this.keyOf(name, saved.inputs)) return null;
      return { inputs: saved.inputs, value: parseWith(schema, saved.value, name) };
    } catch (error) {
      if (error instanceof UserError) return null;
      throw error;
    }
  }

  private async makeScratch(name: string, key: string): Promise<string> {
    const folder = path.join(this.folder, "scratch", scratchName(name, key));
    await this.removeScratch(name, key);
    await makeFolders(folder);
    return folder;
  }

  /** Removes this step's partial work, all but that of `keepKey`. */
  private async removeScratch(name: string, keepKey: string | null): Promise<void> {
    const folder = path.join(this.folder, "scratch");
    const names = await fs.readdir(folder).catch(() => []);
    const kept = keepKey === null ? null : scratchName(name, keepKey);
    for (const entry of names.filter((entry) => entry.startsWith(`${name}.`) && entry !== kept)) {
      await fs.rm(path.join(folder, entry), { recursive: true, force: true });
    }
    if (keepKey === null) await fs.rmdir(folder).catch(() => undefined);
  }

  private keyOf(name: string, inputs: unknown): string {
    return hashOf({ name, inputs, toolVersion: this.options.toolVersion });
  }
}

function fileOf(folder: string, name: string): string {
  return path.join(folder, `${name}.json`);
}

function scratchName(name: string, key: string): string {
  return `${name}.${key.slice(0, 16)}`;
}
