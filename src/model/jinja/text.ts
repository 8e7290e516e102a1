import { Float, type JinjaValue, Namespace, numberOf, ReadOnce, Tuple, typeName, Undefined } from "./values.ts";

/** Longest text that is made of values: templates come with models, and are not trusted with memory. */
export const MAX_TEXT = 2 ** 22;

/** Texts with a separator between them; Error where that is longer than MAX_TEXT. */
export function joinedText(parts: readonly string[], separator: string): string {
  const length = parts.reduce((sum, part) => sum + part.length + separator.length, 0);
  if (length > MAX_TEXT + separator.length) throw new Error(`a text longer than ${MAX_TEXT} is not supported`);
  return parts.join(separator);
}

/** A number of characters to fill; Error where it is none or more than MAX_TEXT. */
export function widthArgument(value: JinjaValue | undefined, what: string, fallback?: number): number {
  const width = wholeArgument(value, what, fallback);
  if (width > MAX_TEXT) throw new Error(`${what}: a width of more than ${MAX_TEXT} is not supported`);
  return width;
}

/** Python's str(): what printing writes. Error for what prints as an address in memory. */
export function textOf(value: JinjaValue): string {
  if (typeof value === "string") return value;
  return value instanceof Undefined ? "" : reprOf(value);
}

/** Python's repr(). */
export function reprOf(value: JinjaValue): string {
  if (value === null) return "None";
  if (typeof value === "string") return quoted(value);
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value === "number") return String(value);
  if (value instanceof Float) return floatText(value.value);
  if (value instanceof Undefined) return "Undefined";
  if (Array.isArray(value)) return `[${joinedText(value.map(reprOf), ", ")}]`;
  if (value instanceof Tuple)
    return `(${joinedText(value.items.map(reprOf), ", ")}${value.items.length === 1 ? "," : ""})`;
  if (value instanceof Map) return dictText(value);
  if (value instanceof Namespace) return `<Namespace ${dictText(value.fields)}>`;
  const what = value instanceof ReadOnce ? "a generator (write '| list' behind it)" : "a function";
  throw new Error(`${what} is printed`);
}

function dictText(entries: ReadonlyMap<JinjaValue, JinjaValue>): string {
  return `{${[...entries].map(([key, value]) => `${reprOf(key)}: ${reprOf(value)}`).join(", ")}}`;
}

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\" };

function quoted(text: string): string {
  const quote = text.includes("'") && !text.includes('"') ? '"' : "'";
  const inside = text.replaceAll(/[\\\p{Cc}\u00ad\u2028\u2029'"]/gu, (char) => {
    if (char === "'" || char === '"') return char === quote ? `\\${char}` : char;
    const code = char.charCodeAt(0);
    return ESCAPES[char] ?? (code < 256 ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`);
  });
  return quote + inside + quote;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}

/** A float as Python writes it: 1.0, 1e-05, 1e+16. */
export function floatText(value: number): string {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "nan" : value < 0 ? "-inf" : "inf";
  if (Object.is(value, -0)) return "-0.0";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e16)) {
    return exponentText(value.toExponential());
  }
  const text = String(value);
  return text.includes(".") ? text : `${text}.0`;
}

/** JavaScript's `1e-5` as Python writes it: an exponent has two digits at least. */
export function exponentText(text: string): string {
  return text.replace(/e([+-])(\d)$/, "e$10$2");
}

/** Python's str.isupper(). */
export function isUpper(text: string): boolean {
  return text !== text.toLowerCase() && text === text.toUpperCase();
}

/** Python's str.islower(). */
export function isLower(text: string): boolean {
  return text !== text.toUpperCase() && text === text.toLowerCase();
}

/** What Python takes for white space. */
const BLANK = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
export const BLANKS = new RegExp(`${BLANK}+`, "u");
const BLANKS_BEFORE = new RegExp(`^${BLANK}+`, "u");
const BLANKS_AFTER = new RegExp(`${BLANK}+$`, "u");

/** Text without white space, or without the characters of `chars`, at its ends. */
export function stripText(text: string, sides: "both" | "left" | "right", chars: JinjaValue = null): string {
  if (chars === null || chars instanceof Undefined) {
    const left = sides === "right" ? text : text.replace(BLANKS_BEFORE, "");
    return sides === "left" ? left : left.replace(BLANKS_AFTER, "");
  }
  const taken = new Set(Array.from(textArgument(chars, "strip")));
  const kept = Array.from(text);
  let [from, to] = [0, kept.length];
  if (sides !== "right") while (from < to && taken.has(kept[from])) from++;
  if (sides !== "left") while (to > from && taken.has(kept[to - 1])) to--;
  return kept.slice(from, to).join("");
}

/** An argument that must be text; Error where it is not. */
export function textArgument(value: JinjaValue | undefined, what: string): string {
  if (typeof value === "string") return value;
  throw new Error(`${what}: expected text, found ${value === undefined ? "nothing" : typeName(value)}`);
}

/** An argument that must be a whole number, `fallback` where it is not given; Error for all else. */
export function wholeArgument(value: JinjaValue | undefined, what: string, fallback?: number): number {
  if (value === undefined && fallback !== undefined) return fallback;
  const number = value === undefined || value instanceof Float ? null : numberOf(value);
  if (number !== null) return number;
  throw new Error(`${what}: expected a whole number, found ${value === undefined ? "nothing" : typeName(value)}`);
}

/** Python's str.replace; a `count` below 0 replaces all. */
export function replaceText(text: string, from: string, to: string, count: number): string {
  const parts = from === "" ? ["", ...Array.from(text), ""] : text.split(from);
  if (count < 0 || count >= parts.length - 1) return joinedText(parts, to);
  const rest = parts.slice(count).join(from);
  return count === 0 ? text : joinedText([...parts.slice(0, count), rest], to);
}

/** A word with its first letter large, the rest small. */
export function capitalized(word: string): string {
  const [first = "", ...rest] = Array.from(word);
  return first.toUpperCase() + rest.join("").toLowerCase();
}

/** Text in the middle of `width` characters, as Python's str.center puts it. */
export function centered(text: string, width: number, fill: string): string {
  const missing = Math.max(0, width - Array.from(text).length);
  const before = (missing >> 1) + (missing & width & 1);
  return fill.repeat(before) + text + fill.repeat(missing - before);
}
