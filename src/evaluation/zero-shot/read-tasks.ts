import path from "node:path";
import { UserError } from "../../errors.ts";
import { isFile, readFileBytes } from "../../formats/files.ts";
import { textOf } from "../../formats/text-file.ts";
import type { Example, Task } from "./task.ts";
import { isTaskName, TASK_NAMES, TASKS, type TaskName } from "./tasks/index.ts";

/** A task with its examples. */
export interface LoadedTask {
  readonly name: TaskName;
  readonly task: Task;
  readonly examples: readonly Example[];
  /** Examples of the file, of which `examples` are the first. */
  readonly available: number;
}

/**
 * Task names of a list such as "lambada,piqa"; "all" stands for every one, and an underscore does for a hyphen. In the
 * order given, each once. Throws UserError ZERO_SHOT_TASK for other names.
 */
export function parseTaskNames(list: string): TaskName[] {
  const names = list.split(",").map((name) => name.trim().toLowerCase().replaceAll("_", "-"));
  const chosen = names
    .filter((name) => name !== "")
    .flatMap((name) => {
      if (name === "all") return [...TASK_NAMES];
      if (isTaskName(name)) return [name];
      throw taskError(`expected ${TASK_NAMES.join(", ")} or all, found ${name}`);
    });
  if (chosen.length === 0) throw taskError("expected at least one name, found none");
  return [...new Set(chosen)];
}

/**
 * Reads the files of the tasks, the first `limit` examples of each. Throws UserError where one is missing or damaged.
 */
export async function readTasks(folder: string, names: readonly TaskName[], limit?: number): Promise<LoadedTask[]> {
  if (limit !== undefined && (!Number.isInteger(limit) || limit < 1)) {
    throw new UserError("ZERO_SHOT_LIMIT", `limit: expected a whole number >= 1, found ${limit}`);
  }
  const loaded: LoadedTask[] = [];
  for (const name of names) loaded.push(await readTask(folder, name, limit));
  return loaded;
}

async function readTask(folder: string, name: TaskName, limit: number | undefined): Promise<LoadedTask> {
  const task: Task = TASKS[name];
  const file = await findFile(folder, name, task.file);
  const text = textOf(await readFileBytes(file), file);
  const examples = task.parse(text, file);
  if (examples.length === 0) throw taskError(`${file}: expected at least one example, found none`);
  return { name, task, examples: examples.slice(0, limit), available: examples.length };
}

async function findFile(folder: string, name: TaskName, file: string): Promise<string> {
  const place = path.join(folder, file);
  if (await isFile(place)) return place;
  const packed = await isFile(`${place}.bz2`);
  throw new UserError(
    "ZERO_SHOT_FILE",
    `${folder}: task ${name}: expected ${file}, found ${packed ? `${file}.bz2` : "no such file"}`,
    packed ? `unpack it: bunzip2 --keep ${place}.bz2` : "give the folder with --tasks-folder, or leave the task out",
  );
}

function taskError(message: string): UserError {
  return new UserError("ZERO_SHOT_TASK", `tasks: ${message}`, "for example --tasks lambada,piqa");
}
