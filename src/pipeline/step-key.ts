import { createHash } from "node:crypto";

/**
 * sha256 of a value's canonical JSON: what names a step's result. Throws a plain Error on values that JSON cannot hold.
 */
export function hashOf(value: unknown): string {
  return createHash("sha256").update(canonicalJson(value)).digest("hex");
}

/**
 * JSON with sorted keys: equal values give equal text. Absent fields and `undefined` ones are the same. Throws a plain
 * Error on what JSON would lose (NaN, functions, typed arrays, maps, big integers).
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "string" || typeof value === "boolean") return JSON.stringify(value);
  if (typeof value === "number" && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (isPlainObject(value)) {
    const entries = Object.entries(value).filter(([, item]) => item !== undefined);
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`;
  }
  throw new Error(`a step's input must be plain JSON, found ${describe(value)}`);
}

/** A list of numbers as JSON.stringify indents it; a line break cannot stand inside a JSON string. */
const NUMBER_LIST = /\[\n\s+(-?\d[^\][{}"]*?)\n\s*\]/g;

/** Indented JSON with lists of numbers on one line: a saved step is there to be read. */
export function readableJson(value: unknown): string {
  const text = JSON.stringify(value, null, 2);
  return `${text.replace(NUMBER_LIST, (_, numbers: string) => `[${numbers.replaceAll(/\s+/g, " ")}]`)}\n`;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

function describe(value: unknown): string {
  return typeof value === "object" && value !== null ? value.constructor.name : `${typeof value} ${String(value)}`;
}
