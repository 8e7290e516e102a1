import { strftime } from "./strftime.ts";
import { textArgument, textOf, wholeArgument } from "./text.ts";
import { itemsOf, type JinjaFunction, type JinjaValue, type KeywordArguments, Namespace, Undefined } from "./values.ts";

/** Longest range that Jinja's sandbox makes. */
const MAX_RANGE = 100_000;

/** What a template says itself, by raise_exception. */
export class RaisedByTemplate extends Error {}

/** Names that every template knows; `now` is what strftime_now writes. */
export function jinjaGlobals(now: Date): Map<string, JinjaValue> {
  const constants: [string, JinjaValue][] = [
    ["true", true],
    ["True", true],
    ["false", false],
    ["False", false],
    ["none", null],
    ["None", null],
  ];
  const functions: [string, JinjaFunction][] = [
    ["range", range],
    ["dict", (args, keywords) => dictOf(args, keywords)],
    ["namespace", (args, keywords) => new Namespace(fieldsOf(dictOf(args, keywords)))],
    ["strftime_now", ([format]) => strftime(now, textArgument(format, "strftime_now"))],
    [
      "raise_exception",
      ([reason]) => {
        throw new RaisedByTemplate(textOf(reason ?? new Undefined("no reason")));
      },
    ],
  ];
  return new Map([...constants, ...functions]);
}

const range: JinjaFunction = (args) => {
  const [start, stop] = args.length < 2 ? [0, args[0]] : args;
  const from = wholeArgument(start, "range");
  const step = wholeArgument(args[2], "range", 1);
  if (step === 0) throw new Error("range() arg 3 must not be zero");
  const length = Math.max(0, Math.ceil((wholeArgument(stop, "range") - from) / step));
  if (length > MAX_RANGE) throw new Error(`a range of more than ${MAX_RANGE} is not supported`);
  return Array.from({ length }, (_, i) => from + i * step);
};

function dictOf(args: readonly JinjaValue[], keywords: KeywordArguments): Map<JinjaValue, JinjaValue> {
  const [first = []] = args;
  const entries = first instanceof Map ? [...first] : itemsOf(first).map((pair) => itemsOf(pair));
  return new Map<JinjaValue, JinjaValue>([...entries.map(([key, value]) => [key, value] as const), ...keywords]);
}

function fieldsOf(dict: ReadonlyMap<JinjaValue, JinjaValue>): Map<string, JinjaValue> {
  return new Map(Array.from(dict, ([key, value]) => [textArgument(key, "namespace"), value]));
}
