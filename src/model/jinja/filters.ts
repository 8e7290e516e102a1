import { pairsOf } from "./collection-methods.ts";
import { formatPercent } from "./formatting.ts";
import { jsonFilter } from "./json-text.ts";
import { LIST_FILTERS } from "./list-filters.ts";
import {
  capitalized,
  centered,
  joinedText,
  replaceText,
  stripText,
  textArgument,
  textOf,
  wholeArgument,
  widthArgument,
} from "./text.ts";
import {
  argumentOf,
  Float,
  isTrue,
  type JinjaFilter,
  type JinjaValue,
  type KeywordArguments,
  lengthOf,
  Namespace,
  numberOf,
  orElse,
  ReadOnce,
  Tuple,
  typeName,
  Undefined,
} from "./values.ts";

const withDefault: JinjaFilter = (value, args, keywords) => {
  const alsoFalse = isTrue(argumentOf({ args, keywords }, 1, "boolean"));
  const missing = value instanceof Undefined || (alsoFalse && !isTrue(value));
  return missing ? argumentOf({ args, keywords }, 0, "default_value", "") : value;
};

/** Filters of single values. */
const VALUE_FILTERS: Readonly<Record<string, JinjaFilter>> = {
  default: withDefault,
  d: withDefault,
  safe: (value) => textOf(value),
  string: (value) => textOf(value),
  trim: (value, [chars], keywords) => stripText(textOf(value), "both", chars ?? keywords.get("chars")),
  upper: (value) => textOf(value).toUpperCase(),
  lower: (value) => textOf(value).toLowerCase(),
  capitalize: (value) => capitalized(textOf(value)),
  title: (value) =>
    textOf(value)
      .split(/([-\s({[<]+)/u)
      .map(capitalized)
      .join(""),
  replace: (value, [from, to, count], keywords) =>
    replaceText(
      textOf(value),
      textArgument(from ?? keywords.get("old"), "replace"),
      textArgument(to ?? keywords.get("new"), "replace"),
      count === null ? -1 : wholeArgument(count ?? keywords.get("count"), "replace", -1),
    ),
  format: (value, args, keywords) =>
    formatPercent(textOf(value), keywords.size > 0 ? new Map(keywords) : new Tuple(args)),
  indent: (value, args, keywords) => indented(textOf(value), args, keywords),
  wordcount: (value) => (textOf(value).match(/[\p{L}\p{N}_]+/gu) ?? []).length,
  center: (value, [width]) => centered(textOf(value), widthArgument(width, "center", 80), " "),
  tojson: jsonFilter,
  int: (value, args, keywords) =>
    wholeOf(value, args[1] ?? keywords.get("base")) ?? argumentOf({ args, keywords }, 0, "default", 0),
  float: (value, args, keywords) => {
    const number = realOf(value);
    return number === null ? argumentOf({ args, keywords }, 0, "default", new Float(0)) : new Float(number);
  },
  abs: (value) => (value instanceof Float ? new Float(Math.abs(value.value)) : Math.abs(wholeArgument(value, "abs"))),
  round: (value, [precision, method], keywords) =>
    rounded(value, precision ?? keywords.get("precision") ?? 0, method ?? keywords.get("method") ?? "common"),
  length: (value) => lengthOf(value),
  count: (value) => lengthOf(value),
  items: (value) => {
    if (value instanceof Undefined) return new ReadOnce([]);
    if (!(value instanceof Map)) throw new Error("Can only get item pairs from a mapping.");
    return new ReadOnce(pairsOf(value));
  },
  attr: (value, [name]) => {
    const field = value instanceof Namespace ? value.fields.get(textArgument(name, "attr")) : undefined;
    return orElse(field, new Undefined(`'${typeName(value)} object' has no attribute '${textOf(name)}'`));
  },
};

/** A filter by name; Error for one that is not supported. */
export function filterNamed(name: string): JinjaFilter {
  for (const filters of [VALUE_FILTERS, LIST_FILTERS]) if (Object.hasOwn(filters, name)) return filters[name];
  throw new Error(`the filter '${name}' is not supported`);
}

function indented(text: string, args: readonly JinjaValue[], keywords: KeywordArguments): string {
  const width = args[0] ?? keywords.get("width") ?? 4;
  const margin = typeof width === "string" ? width : " ".repeat(widthArgument(width, "indent"));
  const first = isTrue(args[1] ?? keywords.get("first") ?? false);
  const blank = isTrue(args[2] ?? keywords.get("blank") ?? false);
  const lines = text.split("\n");
  const moved = lines.map((line, i) => ((i === 0 ? first : blank || line !== "") ? margin + line : line));
  return joinedText(moved, "\n");
}

/** A value as a whole number, as Python's int() and then int(float()) read it; null where neither does. */
function wholeOf(value: JinjaValue, base: JinjaValue | undefined): number | null {
  const radix = wholeArgument(base, "int", 10);
  if (typeof value === "string" && radix !== 10) {
    const digits = stripText(value, "both")
      .toLowerCase()
      .replace(/^(0x|0o|0b)/, "");
    const parsed = /^[0-9a-z]+$/.test(digits) ? Number.parseInt(digits, radix) : Number.NaN;
    return Number.isNaN(parsed) ? null : parsed;
  }
  const number = realOf(value);
  return number === null || !Number.isFinite(number) ? null : Math.trunc(number);
}

function realOf(value: JinjaValue): number | null {
  if (typeof value !== "string") return numberOf(value);
  const text = stripText(value, "both");
  return /^[+-]?(\d[\d_]*\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) ? Number(text.replaceAll("_", "")) : null;
}

/** Python's round(): halves to the even neighbour; or always down ("floor") or up ("ceil"). */
function rounded(value: JinjaValue, precision: JinjaValue, method: JinjaValue): JinjaValue {
  const number = numberOf(value);
  if (number === null) throw new Error(`round: expected a number, found ${typeName(value)}`);
  const scale = 10 ** wholeArgument(precision, "round");
  const scaled = number * scale;
  const even = Math.abs(scaled % 1) === 0.5 ? 2 * Math.round(scaled / 2) : Math.round(scaled);
  const whole = method === "floor" ? Math.floor(scaled) : method === "ceil" ? Math.ceil(scaled) : even;
  return !(value instanceof Float) && method === "common" ? whole / scale : new Float(whole / scale);
}
