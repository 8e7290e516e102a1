import type { z } from "zod";
import { UserError } from "../../errors.ts";
import { jsonRecords } from "../../formats/json-records.ts";

/**
 * Reads values of the schema, one a line (empty lines are skipped) or all in an array. Throws UserError ZERO_SHOT_FILE,
 * naming the line or item.
 */
export function parseJsonLines<T>(text: string, label: string, schema: z.ZodType<T>): T[] {
  const bad = (where: string, found: string) =>
    badTaskFile(where, `expected JSON, one value a line or an array of them, found ${found}`);
  return jsonRecords(text, label, bad).map(({ where, value }) => {
    const result = schema.safeParse(value);
    if (result.success) return result.data;
    const [issue] = result.error.issues;
    throw badTaskFile(where, `${issue.path.join(".") || "line"}: ${issue.message}`);
  });
}

/** The error of a task's file that is not of its form. */
export function badTaskFile(where: string, message: string): UserError {
  return new UserError(
    "ZERO_SHOT_FILE",
    `${where}: ${message}`,
    "docs/evaluation.md shows the form of each task's file",
  );
}
