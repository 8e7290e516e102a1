import { dictMethod, listMethod } from "./collection-methods.ts";
import { stringMethod } from "./string-methods.ts";
import { Float, isEqual, type JinjaValue, Namespace, orElse, Tuple, typeName, Undefined } from "./values.ts";

/**
 * `value.key` ("attribute": methods come first) or `value[key]` ("item": entries come first); Undefined where there is
 * neither. Error for a field of what is itself undefined.
 */
export function lookup(value: JinjaValue, key: JinjaValue, kind: "attribute" | "item"): JinjaValue {
  if (value instanceof Undefined) throw new Error(value.reason);
  const missing = new Undefined(`'${typeName(value)} object' has no attribute '${String(key)}'`);
  const readers = kind === "attribute" ? [attributeOf, itemOf] : [itemOf, attributeOf];
  return orElse(readers[0](value, key), orElse(readers[1](value, key), missing));
}

function attributeOf(value: JinjaValue, key: JinjaValue): JinjaValue | undefined {
  if (typeof key !== "string") return undefined;
  if (value instanceof Namespace) return value.fields.get(key);
  if (typeof value === "string") return stringMethod(value, key);
  if (value instanceof Map) return dictMethod(value, key);
  return Array.isArray(value) || value instanceof Tuple ? listMethod(value, key) : undefined;
}

function itemOf(value: JinjaValue, key: JinjaValue): JinjaValue | undefined {
  if (value instanceof Map) return dictEntry(value, key);
  if (typeof key !== "number") return undefined;
  if (typeof value === "string") return Array.from(value).at(key);
  if (value instanceof Tuple) return value.items.at(key);
  return Array.isArray(value) ? value.at(key) : undefined;
}

/** Keys that are equal in Python, 1 and 1.0, are one key. */
function dictEntry(dict: ReadonlyMap<JinjaValue, JinjaValue>, key: JinjaValue): JinjaValue | undefined {
  if (typeof key === "string") return dict.get(key);
  if (key instanceof Float || typeof key === "number" || typeof key === "boolean" || key instanceof Tuple) {
    return [...dict].find(([one]) => isEqual(one, key))?.[1];
  }
  return dict.get(key);
}

/** `value[start:stop:step]`, null where one is left out; Undefined for what has no order. */
export function sliceOf(value: JinjaValue, start: number | null, stop: number | null, step: number | null): JinjaValue {
  if (value instanceof Undefined) throw new Error(value.reason);
  if (typeof value === "string") return sliceItems(Array.from(value), start, stop, step).join("");
  if (value instanceof Tuple) return new Tuple(sliceItems(value.items, start, stop, step));
  if (Array.isArray(value)) return sliceItems(value, start, stop, step);
  return new Undefined(`'${typeName(value)}' object is not subscriptable`);
}

function sliceItems<T>(items: readonly T[], start: number | null, stop: number | null, step: number | null): T[] {
  const by = step ?? 1;
  if (by === 0) throw new Error("slice step cannot be zero");
  const [low, high] = by > 0 ? [0, items.length] : [-1, items.length - 1];
  const bounded = (bound: number | null, fallback: number) =>
    bound === null ? fallback : Math.min(high, Math.max(low, bound < 0 ? bound + items.length : bound));
  const end = bounded(stop, by > 0 ? high : low);
  const out: T[] = [];
  for (let i = bounded(start, by > 0 ? low : high); by > 0 ? i < end : i > end; i += by) out.push(items[i]);
  return out;
}
