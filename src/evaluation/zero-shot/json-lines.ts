import type { z } from "zod";
import { UserError } from "../../errors.ts";
import { parseJson } from "../../formats/json.ts";

/** Reads one value of the schema a line; empty lines are skipped. Throws UserError ZERO_SHOT_FILE, naming the line. */
export function parseJsonLines<T>(text: string, label: string, schema: z.ZodType<T>): T[] {
  return text
    .split("\n")
    .flatMap((line, i) => (line.trim() === "" ? [] : [parseLine(line, `${label}:${i + 1}`, schema)]));
}

/** The error of a task's file that is not of its form. */
export function badTaskFile(where: string, message: string): UserError {
  return new UserError(
    "ZERO_SHOT_FILE",
    `${where}: ${message}`,
    "docs/evaluation.md shows the form of each task's file",
  );
}

function parseLine<T>(line: string, where: string, schema: z.ZodType<T>): T {
  let value: unknown;
  try {
    value = parseJson(line);
  } catch (error) {
    throw badTaskFile(where, `expected JSON, found ${error instanceof Error ? error.message : "something else"}`);
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw badTaskFile(where, `${issue.path.join(".") || "line"}: ${issue.message}`);
}
