import { lookup } from "./lookup.ts";
import { binaryOperation } from "./operators.ts";
import { joinedText, textOf, wholeArgument } from "./text.ts";
import {
  argumentOf,
  compareValues,
  isEqual,
  isTrue,
  itemsOf,
  type JinjaFilter,
  type JinjaValue,
  type KeywordArguments,
  numberOf,
  orElse,
  ReadOnce,
  Tuple,
  typeName,
  Undefined,
} from "./values.ts";

/** Filters of lists and of what else has items; those that choose by a test or map by a filter need an interpreter. */
export const LIST_FILTERS: Readonly<Record<string, JinjaFilter>> = {
  list: (value) => [...itemsOf(value)],
  first: (value) => orElse(itemsOf(value)[0], new Undefined("No first item, sequence was empty.")),
  last: (value) => orElse(reversible(value).at(-1), new Undefined("No last item, sequence was empty.")),
  reverse: (value) =>
    typeof value === "string" ? Array.from(value).reverse().join("") : new ReadOnce([...reversible(value)].reverse()),
  join: (value, args, keywords) => {
    const separator = argumentOf({ args, keywords }, 0, "d", "");
    const attribute = argumentOf({ args, keywords }, 1, "attribute");
    const texts = itemsOf(value).map((item) => textOf(attribute === null ? item : attributeAt(item, attribute)));
    return joinedText(texts, textOf(separator));
  },
  sort: (value, args, keywords) => {
    const [reverse, caseSensitive, attribute] = given(args, keywords, ["reverse", "case_sensitive", "attribute"]);
    const keys = typeof attribute === "string" ? attribute.split(",") : [attribute];
    return sorted(itemsOf(value), isTrue(reverse), (a, b) => {
      const both = keys.map((key) => [a, b].map((item) => sortKey(item, key, isTrue(caseSensitive))));
      return both.map(([left, right]) => compareValues(left, right)).find((order) => order !== 0) ?? 0;
    });
  },
  dictsort: (value, args, keywords) => {
    if (!(value instanceof Map)) throw new Error(`dictsort: expected a dict, found ${typeName(value)}`);
    const [caseSensitive, by, reverse] = given(args, keywords, ["case_sensitive", "by", "reverse"]);
    const part = by === "value" ? 1 : 0;
    const pairs = sorted([...value], isTrue(reverse), (a, b) =>
      compareValues(sortKey(a[part], null, isTrue(caseSensitive)), sortKey(b[part], null, isTrue(caseSensitive))),
    );
    return pairs.map((pair) => new Tuple(pair));
  },
  unique: (value, args, keywords) => {
    const [caseSensitive, attribute] = given(args, keywords, ["case_sensitive", "attribute"]);
    const plain = new Set<JinjaValue>();
    const keys: JinjaValue[] = [];
    const firsts = itemsOf(value).filter((item) => {
      const key = sortKey(item, attribute, isTrue(caseSensitive));
      const simple = numberOf(key) ?? key;
      if (typeof simple === "string" || typeof simple === "number") {
        return plain.has(simple) ? false : plain.add(simple);
      }
      return keys.some((one) => isEqual(one, key)) ? false : keys.push(key);
    });
    return new ReadOnce(firsts);
  },
  min: (value, args, keywords) => extreme(value, given(args, keywords, ["case_sensitive", "attribute"]), -1),
  max: (value, args, keywords) => extreme(value, given(args, keywords, ["case_sensitive", "attribute"]), 1),
  sum: (value, args, keywords) => {
    const [attribute, start] = given(args, keywords, ["attribute", "start"]);
    const items = itemsOf(value).map((item) => (attribute === null ? item : attributeAt(item, attribute)));
    return items.reduce((sum, item) => binaryOperation("+", sum, item), start ?? 0);
  },
  batch: (value, [size, fill]) => {
    const items = itemsOf(value);
    const count = Math.max(1, wholeArgument(size, "batch"));
    const rows: JinjaValue[][] = [];
    for (let i = 0; i < items.length; i += count) rows.push(items.slice(i, i + count));
    if (fill !== undefined && fill !== null) for (const row of rows) while (row.length < count) row.push(fill);
    return new ReadOnce(rows);
  },
  groupby: (value, args, keywords) => {
    const [attribute, fallback] = given(args, keywords, ["attribute", "default"]);
    const keyOf = (item: JinjaValue) => attributeAt(item, attribute, fallback);
    const items = sorted(itemsOf(value), false, (a, b) => compareValues(caseless(keyOf(a)), caseless(keyOf(b))));
    const groups: { key: JinjaValue; items: JinjaValue[] }[] = [];
    for (const item of items) {
      const last = groups.at(-1);
      if (last && isEqual(caseless(last.key), caseless(keyOf(item)))) last.items.push(item);
      else groups.push({ key: keyOf(item), items: [item] });
    }
    return groups.map((group) => new Tuple([group.key, group.items]));
  },
};

/** Arguments by position or name; null where one is not given. */
function given(args: readonly JinjaValue[], keywords: KeywordArguments, names: readonly string[]): JinjaValue[] {
  return names.map((name, i) => argumentOf({ args, keywords }, i, name));
}

/** Items in both directions, which a generator does not have. */
function reversible(value: JinjaValue): readonly JinjaValue[] {
  if (value instanceof ReadOnce) throw new Error("'generator' object is not reversible");
  return itemsOf(value);
}

/** Array.sort is stable, as Python's; reversed, equals keep their order there too. */
function sorted<T>(items: readonly T[], reverse: boolean, compare: (a: T, b: T) => number): T[] {
  return [...items].sort((a, b) => (reverse ? compare(b, a) : compare(a, b)));
}

function sortKey(item: JinjaValue, attribute: JinjaValue, caseSensitive: boolean): JinjaValue {
  const value = attribute === null ? item : attributeAt(item, attribute);
  return caseSensitive ? value : caseless(value);
}

function caseless(value: JinjaValue): JinjaValue {
  return typeof value === "string" ? value.toLowerCase() : value;
}

function extreme(value: JinjaValue, [caseSensitive, attribute]: readonly JinjaValue[], sign: 1 | -1): JinjaValue {
  const items = itemsOf(value);
  const key = (item: JinjaValue) => sortKey(item, attribute, isTrue(caseSensitive));
  if (items.length === 0) return new Undefined("No aggregated item, sequence was empty.");
  return items.reduce((best, item) => (sign * compareValues(key(item), key(best)) > 0 ? item : best));
}

/**
 * `item.a.b` for the attribute "a.b", numbers are positions; `fallback`, where it is not null, for what is not there.
 */
export function attributeAt(item: JinjaValue, attribute: JinjaValue, fallback: JinjaValue = null): JinjaValue {
  const parts = typeof attribute === "string" ? attribute.split(".") : [attribute];
  let value = item;
  for (const part of parts) {
    const key = typeof part === "string" && /^\d+$/.test(part) ? Number(part) : part;
    if (value instanceof Undefined) break;
    value = lookup(value, key, "item");
  }
  return value instanceof Undefined && fallback !== null ? fallback : value;
}
