import { MAX_JSON_VALUES, MAX_NESTING, MAX_NUMBER_CHARACTERS } from "./limits.ts";

/** Why a text is no JSON that is read here: one line, after "expected JSON: " or "found ". */
export class JsonError extends Error {
  /** `NOT_JSON`, or `JSON_LIMIT` where a limit of `formats/limits.ts` is broken. */
  readonly code: string;

  constructor(code: "NOT_JSON" | "JSON_LIMIT", reason: string) {
    super(reason);
    this.code = code;
  }
}

const [QUOTE, BACKSLASH, COMMA, MINUS, OPEN_BRACKET, CLOSE_BRACKET, OPEN_BRACE, CLOSE_BRACE] = [...'"\\,-[]{}'].map(
  (letter) => letter.charCodeAt(0),
);
const NUMBER = /[-+.eE0-9]*/y;
/** Digits that a double holds whatever they are: 1e308 has more. */
const SAFE_DIGITS = 300;

/**
 * A JSON text as a value; throws {@link JsonError}. The one reader of JSON but for safetensors headers. Limits are
 * checked before anything is parsed: what breaks them takes no memory and no stack.
 */
export function parseJson(text: string, maxValues = MAX_JSON_VALUES): unknown {
  checkLimits(text, maxValues);
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll(/\s+/g, " ") : String(error);
    throw new JsonError("NOT_JSON", reason);
  }
}

/** Walks the text without parsing it, nesting, values and numbers outside of strings only. */
function checkLimits(text: string, maxValues: number): void {
  let depth = 0;
  let values = 1;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === QUOTE) i = endOfString(text, i);
    else if (unit === COMMA) values++;
    else if (unit === OPEN_BRACKET || unit === OPEN_BRACE) {
      values++;
      depth++;
      if (depth > MAX_NESTING) throw beyond(`more than ${MAX_NESTING} levels of nesting`);
    } else if (unit === CLOSE_BRACKET || unit === CLOSE_BRACE) depth--;
    else if (unit === MINUS || isDigit(unit)) i = endOfNumber(text, i);
    if (values > maxValues) throw beyond(`more than ${maxValues} values`);
  }
}

/** Where the string that begins at `start` has its closing quote; past the end where it has none. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit === BACKSLASH) i++;
    else if (unit === QUOTE) return i;
  }
  return text.length;
}

/** Where the number that begins at `start` ends; one that no double holds JSON.parse would read as Infinity. */
function endOfNumber(text: string, start: number): number {
  NUMBER.lastIndex = start;
  const [number] = NUMBER.exec(text) ?? [""];
  if (number.length > MAX_NUMBER_CHARACTERS) {
    throw beyond(`a number of more than ${MAX_NUMBER_CHARACTERS} characters`);
  }
  const mayOverflow = number.length > SAFE_DIGITS || /e/i.test(number);
  if (mayOverflow && !Number.isFinite(Number(number)) && !Number.isNaN(Number(number))) {
    throw beyond(`a number beyond ±1.8e308, ${number.slice(0, 40)}`);
  }
  return start + number.length - 1;
}

function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

function beyond(what: string): JsonError {
  return new JsonError("JSON_LIMIT", what);
}
