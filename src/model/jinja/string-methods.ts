import { formatBraces } from "./formatting.ts";
import {
  BLANKS,
  capitalized,
  centered,
  isLower,
  isUpper,
  joinedText,
  replaceText,
  stripText,
  textArgument,
  wholeArgument,
  widthArgument,
} from "./text.ts";
import {
  itemsOf,
  type JinjaFunction,
  type JinjaValue,
  type KeywordArguments,
  Tuple,
  typeName,
  Undefined,
} from "./values.ts";

type Method = (text: string, args: readonly JinjaValue[], keywords: KeywordArguments) => JinjaValue;

/** What Python's splitlines takes for the end of a line. */
const ENDS = "\\v\\f\\x1c-\\x1e\\x85\\u2028\\u2029";
const LINE_END = new RegExp(`(?:\\r\\n|[\\n\\r${ENDS}])$`, "u");
const LINE_ENDS = new RegExp(`(?<=\\n|\\r(?!\\n)|[${ENDS}])`, "u");

const STRING_METHODS: Readonly<Record<string, Method>> = {
  upper: (text) => text.toUpperCase(),
  lower: (text) => text.toLowerCase(),
  casefold: (text) => text.toLowerCase(),
  capitalize: (text) => capitalized(text),
  title: (text) => text.replaceAll(/\p{L}+/gu, capitalized),
  swapcase: (text) =>
    Array.from(text, (char) => (char === char.toUpperCase() ? char.toLowerCase() : char.toUpperCase())).join(""),
  strip: (text, [chars]) => stripText(text, "both", chars),
  lstrip: (text, [chars]) => stripText(text, "left", chars),
  rstrip: (text, [chars]) => stripText(text, "right", chars),
  startswith: (text, args) => anyAffix(text, args, "startsWith"),
  endswith: (text, args) => anyAffix(text, args, "endsWith"),
  removeprefix: (text, [prefix]) => {
    const found = textArgument(prefix, "removeprefix");
    return text.startsWith(found) ? text.slice(found.length) : text;
  },
  removesuffix: (text, [suffix]) => {
    const found = textArgument(suffix, "removesuffix");
    return found !== "" && text.endsWith(found) ? text.slice(0, -found.length) : text;
  },
  split: (text, args, keywords) => splitText(text, args, keywords, false),
  rsplit: (text, args, keywords) => splitText(text, args, keywords, true),
  splitlines: (text, [keep]) => {
    const lines = text.split(LINE_ENDS).filter((line) => line !== "");
    return keep === true ? lines : lines.map((line) => line.replace(LINE_END, ""));
  },
  partition: (text, [separator]) => partitioned(text, separator, text.indexOf(textArgument(separator, "partition"))),
  rpartition: (text, [separator]) => {
    const at = text.lastIndexOf(textArgument(separator, "rpartition"));
    return at < 0 ? new Tuple(["", "", text]) : partitioned(text, separator, at);
  },
  replace: (text, [from, to, count], keywords) =>
    replaceText(
      text,
      textArgument(from, "replace"),
      textArgument(to, "replace"),
      wholeArgument(count ?? keywords.get("count"), "replace", -1),
    ),
  join: (text, [list]) =>
    joinedText(
      itemsOf(list ?? new Undefined("join: no list")).map((item) => textArgument(item, "join")),
      text,
    ),
  format: (text, args, keywords) => formatBraces(text, args, keywords),
  find: (text, args) => indexIn(text, text.indexOf(textArgument(args[0], "find")), args),
  rfind: (text, args) => indexIn(text, text.lastIndexOf(textArgument(args[0], "rfind")), args),
  index: (text, args) => {
    const at = indexIn(text, text.indexOf(textArgument(args[0], "index")), args);
    if (at < 0) throw new Error("substring not found");
    return at;
  },
  count: (text, [part]) => {
    const found = textArgument(part, "count");
    return (found === "" ? Array.from(text).length : text.split(found).length - 1) + Number(found === "");
  },
  zfill: (text, [width]) => {
    const sign = /^[+-]/.exec(text)?.[0] ?? "";
    return sign + text.slice(sign.length).padStart(widthArgument(width, "zfill") - sign.length, "0");
  },
  center: (text, [width, fill = " "]) => centered(text, widthArgument(width, "center"), textArgument(fill, "center")),
  ljust: (text, [width, fill = " "]) => text.padEnd(widthArgument(width, "ljust"), textArgument(fill, "ljust")),
  rjust: (text, [width, fill = " "]) => text.padStart(widthArgument(width, "rjust"), textArgument(fill, "rjust")),
  isdigit: (text) => /^\p{Nd}+$/u.test(text),
  isdecimal: (text) => /^\p{Nd}+$/u.test(text),
  isnumeric: (text) => /^\p{N}+$/u.test(text),
  isalpha: (text) => /^\p{L}+$/u.test(text),
  isalnum: (text) => /^[\p{L}\p{N}]+$/u.test(text),
  isspace: (text) => text !== "" && stripText(text, "both") === "",
  isupper: (text) => isUpper(text),
  islower: (text) => isLower(text),
};

/** A method of str by name; undefined where there is none here. */
export function stringMethod(text: string, name: string): JinjaFunction | undefined {
  if (!Object.hasOwn(STRING_METHODS, name)) return undefined;
  return (args, keywords) => STRING_METHODS[name](text, args, keywords);
}

function anyAffix(text: string, args: readonly JinjaValue[], test: "startsWith" | "endsWith"): boolean {
  const [affix, ...range] = args;
  const name = test.toLowerCase();
  if (range.length > 0) throw new Error(`${name} with a range is not supported`);
  const all = affix instanceof Tuple ? affix.items : [affix];
  return all.some((one) => text[test](textArgument(one, name)));
}

function partitioned(text: string, separator: JinjaValue, at: number): Tuple {
  const found = textArgument(separator, "partition");
  return new Tuple(at < 0 ? [text, "", ""] : [text.slice(0, at), found, text.slice(at + found.length)]);
}

/** Where a part of the text was found, in characters. */
function indexIn(text: string, at: number, args: readonly JinjaValue[]): number {
  if (args.length > 1) throw new Error("find with a range is not supported");
  return at < 0 ? -1 : Array.from(text.slice(0, at)).length;
}

function splitText(
  text: string,
  args: readonly JinjaValue[],
  keywords: KeywordArguments,
  fromRight: boolean,
): string[] {
  const separator = args[0] ?? keywords.get("sep") ?? null;
  const most = wholeArgument(args[1] ?? keywords.get("maxsplit"), "split", -1);
  if (separator === null) return splitAtBlanks(text, most, fromRight);
  if (typeof separator !== "string") throw new Error(`must be str or None, not ${typeName(separator)}`);
  if (separator === "") throw new Error("empty separator");
  const parts = text.split(separator);
  const cuts = parts.length - 1;
  if (most < 0 || most >= cuts) return parts;
  const joined = cuts - most + 1;
  if (fromRight) return [parts.slice(0, joined).join(separator), ...parts.slice(joined)];
  return [...parts.slice(0, most), parts.slice(most).join(separator)];
}

function splitAtBlanks(text: string, most: number, fromRight: boolean): string[] {
  let rest = stripText(text, fromRight ? "right" : "left");
  const words: string[] = [];
  while (rest !== "" && (most < 0 || words.length < most)) {
    const parts = rest.split(BLANKS);
    const word = fromRight ? (parts.at(-1) ?? "") : parts[0];
    words.push(word);
    rest = fromRight
      ? stripText(rest.slice(0, rest.length - word.length), "right")
      : stripText(rest.slice(word.length), "left");
  }
  if (rest !== "") words.push(rest);
  return fromRight ? words.reverse() : words;
}
