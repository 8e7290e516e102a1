/** A value of a template, with Python's meaning. Whole numbers are numbers; others are `Float`. */
export type JinjaValue =
  | string
  | number
  | boolean
  | null
  | Float
  | Undefined
  | Tuple
  | JinjaValue[]
  | Map<JinjaValue, JinjaValue>
  | Namespace
  | ReadOnce
  | JinjaFunction;

export type KeywordArguments = ReadonlyMap<string, JinjaValue>;
export type JinjaFunction = (args: readonly JinjaValue[], keywords: KeywordArguments) => JinjaValue;
/** What `value | name(args, keywords)` does. */
export type JinjaFilter = (value: JinjaValue, args: readonly JinjaValue[], keywords: KeywordArguments) => JinjaValue;

/** Arguments of a call: by position and by name. */
export interface Arguments {
  readonly args: readonly JinjaValue[];
  readonly keywords: KeywordArguments;
}

/** Python's float, which prints 1.0 where an int prints 1. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}

/** What a name or a field that is not there gives: empty, false, printed as nothing; most else is an error. */
export class Undefined {
  /** Says what is not there. */
  readonly reason: string;
  constructor(reason: string) {
    this.reason = reason;
  }
}

/** Python's tuple. */
export class Tuple {
  readonly items: readonly JinjaValue[];
  constructor(items: readonly JinjaValue[]) {
    this.items = items;
  }
}

/** Fields by name: `namespace(…)`, which templates may change, and `loop`. */
export class Namespace {
  readonly fields: Map<string, JinjaValue>;
  constructor(fields: Map<string, JinjaValue>) {
    this.fields = fields;
  }
}

/** What `map`, `select`, `reverse` and their like give: true, without a length, and read once. */
export class ReadOnce {
  private items: readonly JinjaValue[];
  constructor(items: readonly JinjaValue[]) {
    this.items = items;
  }
  /** What was not read yet. */
  rest(): readonly JinjaValue[] {
    const { items } = this;
    this.items = [];
    return items;
  }
}

/** A value, or another where there is none: not `??`, for which None is none too. */
export function orElse(value: JinjaValue | undefined, fallback: JinjaValue): JinjaValue {
  return value === undefined ? fallback : value;
}

/** An argument by its position or its name; `fallback` where it is not given. */
export function argumentOf(
  { args, keywords }: Arguments,
  position: number,
  name: string,
  fallback: JinjaValue = null,
): JinjaValue {
  return orElse(args[position], orElse(keywords.get(name), fallback));
}

/** Name of a value's type in Python. */
export function typeName(value: JinjaValue): string {
  if (value === null) return "NoneType";
  if (typeof value === "string") return "str";
  if (typeof value === "number") return "int";
  if (typeof value === "boolean") return "bool";
  if (value instanceof Float) return "float";
  if (value instanceof Undefined) return "Undefined";
  if (value instanceof Tuple) return "tuple";
  if (Array.isArray(value)) return "list";
  if (value instanceof Map) return "dict";
  if (value instanceof Namespace) return "namespace";
  return value instanceof ReadOnce ? "generator" : "function";
}

/** The number that an int, a float or a bool is; null for all else. */
export function numberOf(value: JinjaValue): number | null {
  if (value instanceof Float) return value.value;
  if (typeof value === "boolean") return Number(value);
  return typeof value === "number" ? value : null;
}

/** Python's bool(). */
export function isTrue(value: JinjaValue): boolean {
  if (value === null || value instanceof Undefined) return false;
  if (typeof value === "string" || Array.isArray(value)) return value.length > 0;
  if (value instanceof Map) return value.size > 0;
  if (value instanceof Tuple) return value.items.length > 0;
  const number = numberOf(value);
  return number === null || number !== 0;
}

/** The items that a loop over a value meets; Error for what is no collection. */
export function itemsOf(value: JinjaValue): readonly JinjaValue[] {
  if (value instanceof Undefined) return [];
  if (typeof value === "string") return Array.from(value);
  if (Array.isArray(value)) return value;
  if (value instanceof Tuple) return value.items;
  if (value instanceof Map) return [...value.keys()];
  if (value instanceof ReadOnce) return value.rest();
  throw new Error(`'${typeName(value)}' object is not iterable`);
}

/** Python's len(), in characters for text; Error where a value has none. */
export function lengthOf(value: JinjaValue): number {
  if (value instanceof ReadOnce) throw new Error("object of type 'generator' has no len()");
  const number = numberOf(value);
  if (number !== null || value === null) throw new Error(`object of type '${typeName(value)}' has no len()`);
  return itemsOf(value).length;
}

/** Python's ==. */
export function isEqual(a: JinjaValue, b: JinjaValue): boolean {
  const numbers = [numberOf(a), numberOf(b)];
  if (numbers[0] !== null && numbers[1] !== null) return numbers[0] === numbers[1];
  if (a instanceof Undefined && b instanceof Undefined) return true;
  if (a instanceof Tuple && b instanceof Tuple) return sameItems(a.items, b.items);
  if (Array.isArray(a) && Array.isArray(b)) return sameItems(a, b);
  if (a instanceof Map && b instanceof Map) {
    return a.size === b.size && [...a].every(([key, value]) => b.has(key) && isEqual(value, orElse(b.get(key), null)));
  }
  return a === b;
}

function sameItems(a: readonly JinjaValue[], b: readonly JinjaValue[]): boolean {
  return a.length === b.length && a.every((item, i) => isEqual(item, b[i]));
}

/** Negative, 0 or positive as a stands to b; Error where Python does not order them. */
export function compareValues(a: JinjaValue, b: JinjaValue, operator = "<"): number {
  const numbers = [numberOf(a), numberOf(b)];
  if (numbers[0] !== null && numbers[1] !== null) return numbers[0] - numbers[1];
  if (typeof a === "string" && typeof b === "string") return a < b ? -1 : Number(a > b);
  const lists = (Array.isArray(a) && Array.isArray(b)) || (a instanceof Tuple && b instanceof Tuple);
  if (!lists) {
    throw new Error(`'${operator}' not supported between instances of '${typeName(a)}' and '${typeName(b)}'`);
  }
  const [left, right] = [itemsOf(a), itemsOf(b)];
  const differs = left.findIndex((item, i) => i >= right.length || !isEqual(item, right[i]));
  if (differs < 0 || differs >= right.length) return left.length - right.length;
  return compareValues(left[differs], right[differs], operator);
}

/** Python's `item in collection`. */
export function contains(collection: JinjaValue, item: JinjaValue): boolean {
  if (typeof collection === "string") {
    if (typeof item !== "string") {
      throw new Error(`'in <string>' requires string as left operand, not ${typeName(item)}`);
    }
    return collection.includes(item);
  }
  return itemsOf(collection).some((one) => isEqual(one, item));
}

/** A value of JavaScript as JSON has them. */
export function fromJson(input: unknown): JinjaValue {
  if (input === null || typeof input === "string" || typeof input === "boolean") return input;
  if (typeof input === "number") return Number.isInteger(input) ? input : new Float(input);
  if (Array.isArray(input)) return input.map(fromJson);
  if (typeof input === "object") return new Map(Object.entries(input).map(([key, value]) => [key, fromJson(value)]));
  throw new Error(`chat template: no value for ${typeof input}`);
}
