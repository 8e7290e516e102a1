import { MAX_NUMBER_CHARACTERS } from "../limits.ts";
import { MAX_HEADER_VALUES, MAX_JSON_DEPTH } from "./limits.ts";

/** A number as it is written: `1.0` and `1` are different here, and nothing is lost above 2^53. */
interface JsonNumber {
  readonly kind: "number";
  readonly text: string;
}

/** An object as it is written: members in order, repeated keys included. */
export interface JsonObject {
  readonly kind: "object";
  readonly members: readonly (readonly [string, JsonValue])[];
}

export type JsonValue = null | boolean | string | JsonNumber | JsonObject | readonly JsonValue[];

/** Why a text is not JSON, and where. */
export class JsonSyntaxError extends Error {}

const NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?$/;
const HEX4 = /^[0-9a-fA-F]{4}$/;
const SPACES = " \t\n\r";
const NUMBER_CHARACTERS = "0123456789+-.eE";
const BACKSLASH = 0x5c;
const QUOTE = 0x22;
const FIRST_PLAIN = 0x20;
const WORDS: readonly (readonly [string, null | boolean])[] = [
  ["null", null],
  ["true", true],
  ["false", false],
];
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/**
 * Reads RFC 8259 JSON and nothing else: no BOM, no lone surrogates, no text after the value, no number beyond an f64.
 * Long runs are walked by loops: a regular expression keeps a stack entry a character and fails on a 100 MB header.
 */
class StrictReader {
  private readonly text: string;
  private at = 0;
  private values = 0;

  constructor(text: string) {
    this.text = text;
  }

  document(): JsonValue {
    const value = this.value(0);
    this.skipSpaces();
    if (this.at < this.text.length) this.fail("text after the JSON value");
    return value;
  }

  private fail(what: string): never {
    throw new JsonSyntaxError(`${what} at character ${this.at}`);
  }

  private skipSpaces(): void {
    while (this.at < this.text.length && SPACES.includes(this.text[this.at])) this.at++;
  }

  /** Skips spaces, then the character if it comes next. */
  private skip(character: string): boolean {
    this.skipSpaces();
    if (this.text[this.at] !== character) return false;
    this.at++;
    return true;
  }

  private value(depth: number): JsonValue {
    if (++this.values > MAX_HEADER_VALUES) this.fail(`more than ${MAX_HEADER_VALUES} values`);
    this.skipSpaces();
    const next = this.text[this.at];
    if (next === undefined) return this.fail("the text ends early");
    if (next === '"') return this.string();
    if (next === "{") return this.object(depth + 1);
    if (next === "[") return this.array(depth + 1);
    if (next === "-" || (next >= "0" && next <= "9")) return this.number();
    for (const [word, value] of WORDS) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        return value;
      }
    }
    return this.fail("expected a JSON value");
  }

  private enter(depth: number): void {
    if (depth > MAX_JSON_DEPTH) this.fail(`nesting deeper than ${MAX_JSON_DEPTH}`);
    this.at++;
  }

  private object(depth: number): JsonObject {
    this.enter(depth);
    const members: [string, JsonValue][] = [];
    if (this.skip("}")) return { kind: "object", members };
    do {
      this.skipSpaces();
      if (this.text[this.at] !== '"') this.fail("expected a quoted key");
      const key = this.string();
      if (!this.skip(":")) this.fail("expected ':'");
      members.push([key, this.value(depth)]);
    } while (this.skip(","));
    if (!this.skip("}")) this.fail("expected ',' or '}'");
    return { kind: "object", members };
  }

  private array(depth: number): JsonValue[] {
    this.enter(depth);
    const items: JsonValue[] = [];
    if (this.skip("]")) return items;
    do {
      items.push(this.value(depth));
    } while (this.skip(","));
    if (!this.skip("]")) this.fail("expected ',' or ']'");
    return items;
  }

  private number(): JsonNumber {
    const start = this.at;
    while (this.at < this.text.length && NUMBER_CHARACTERS.includes(this.text[this.at])) this.at++;
    if (this.at - start > MAX_NUMBER_CHARACTERS) this.fail(`number of more than ${MAX_NUMBER_CHARACTERS} characters`);
    const text = this.text.slice(start, this.at);
    if (!NUMBER.test(text)) this.fail("bad number");
    if (!Number.isFinite(Number(text))) this.fail("number out of range");
    return { kind: "number", text };
  }

  private string(): string {
    this.at++;
    let result = "";
    let start = this.at;
    for (;;) {
      if (this.at >= this.text.length) this.fail("the text ends inside a string");
      const unit = this.text.charCodeAt(this.at);
      if (unit === QUOTE) break;
      if (unit === BACKSLASH) {
        result += this.text.slice(start, this.at) + this.escape();
        start = this.at;
      } else if (unit < FIRST_PLAIN) {
        this.fail("control character in a string");
      } else {
        this.at++;
      }
    }
    result += this.text.slice(start, this.at);
    this.at++;
    return result;
  }

  private escape(): string {
    this.at++;
    const letter = this.text[this.at];
    this.at++;
    const simple = letter === undefined ? undefined : ESCAPES.get(letter);
    if (simple !== undefined) return simple;
    if (letter !== "u") return this.fail("bad escape");
    const unit = this.hexUnit();
    if (unit < 0xd800 || unit > 0xdfff) return String.fromCharCode(unit);
    if (unit > 0xdbff || !this.text.startsWith("\\u", this.at)) this.fail("lone surrogate");
    this.at += 2;
    const low = this.hexUnit();
    if (low < 0xdc00 || low > 0xdfff) this.fail("lone surrogate");
    return String.fromCharCode(unit, low);
  }

  private hexUnit(): number {
    const digits = this.text.slice(this.at, this.at + 4);
    if (!HEX4.test(digits)) this.fail("bad \\u escape");
    this.at += 4;
    return Number.parseInt(digits, 16);
  }
}

/** The JSON document as it is written; throws JsonSyntaxError. */
export function parseStrictJson(text: string): JsonValue {
  return new StrictReader(text).document();
}
