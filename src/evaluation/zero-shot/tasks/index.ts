import type { Task } from "../task.ts";
import { hellaswag } from "./hellaswag.ts";
import { lambada } from "./lambada.ts";
import { arcChallenge, arcEasy, boolq, copa, openbookqa, piqa } from "./question.ts";
import { winogrande } from "./winogrande.ts";

/** The zero-shot tasks by the name that the command line takes. */
export const TASKS = {
  lambada,
  piqa,
  "arc-easy": arcEasy,
  "arc-challenge": arcChallenge,
  winogrande,
  boolq,
  openbookqa,
  copa,
  hellaswag,
} as const satisfies Record<string, Task>;

export type TaskName = keyof typeof TASKS;

/** True for the name of a task. */
export function isTaskName(name: string): name is TaskName {
  return Object.hasOwn(TASKS, name);
}

/** The names in the table's order. */
export const TASK_NAMES: readonly TaskName[] = Object.keys(TASKS).filter(isTaskName);
