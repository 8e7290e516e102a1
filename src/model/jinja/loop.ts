import { isEqual, type JinjaFunction, type JinjaValue, orElse, Undefined } from "./values.ts";

/** Fields of `loop` in round `i`; `changed` carries what `loop.changed` was told last from round to round. */
export function loopFields(
  items: readonly JinjaValue[],
  i: number,
  changed: { last: readonly JinjaValue[] | null },
): Map<string, JinjaValue> {
  const isChanged: JinjaFunction = (args) => {
    const { last } = changed;
    changed.last = args;
    return last === null || last.length !== args.length || !args.every((arg, k) => isEqual(arg, last[k]));
  };
  const cycle: JinjaFunction = (args) => {
    if (args.length === 0) throw new Error("no items for cycling given");
    return args[i % args.length];
  };
  return new Map<string, JinjaValue>([
    ["index", i + 1],
    ["index0", i],
    ["revindex", items.length - i],
    ["revindex0", items.length - i - 1],
    ["first", i === 0],
    ["last", i === items.length - 1],
    ["length", items.length],
    ["previtem", orElse(items[i - 1], new Undefined("there is no previous item"))],
    ["nextitem", orElse(items[i + 1], new Undefined("there is no next item"))],
    ["cycle", cycle],
    ["changed", isChanged],
  ]);
}
