import { isEqual, itemsOf, type JinjaFunction, type JinjaValue, orElse, Tuple, typeName } from "./values.ts";

type Dict = Map<JinjaValue, JinjaValue>;

/** Methods of dict that only read: transformers' templates may not change what they are given. */
const DICT_METHODS: Readonly<Record<string, (dict: Dict, args: readonly JinjaValue[]) => JinjaValue>> = {
  get: (dict, [key, fallback = null]) => orElse(dict.get(key), fallback),
  items: (dict) => pairsOf(dict),
  keys: (dict) => [...dict.keys()],
  values: (dict) => [...dict.values()],
  copy: (dict) => new Map(dict),
};

/** (key, value) of every entry. */
export function pairsOf(dict: ReadonlyMap<JinjaValue, JinjaValue>): JinjaValue[] {
  return [...dict].map((entry) => new Tuple(entry));
}

/** A method of dict by name; undefined where there is none. */
export function dictMethod(dict: Dict, name: string): JinjaFunction | undefined {
  if (!Object.hasOwn(DICT_METHODS, name))
    return refusedChange(name, ["pop", "popitem", "update", "clear", "setdefault"]);
  return (args) => DICT_METHODS[name](dict, args);
}

/** A method of list or tuple by name; undefined where there is none. */
export function listMethod(list: Tuple | JinjaValue[], name: string): JinjaFunction | undefined {
  const items = itemsOf(list);
  if (name === "count") return ([item]) => items.filter((one) => isEqual(one, item)).length;
  if (name === "copy") return () => [...items];
  if (name !== "index") {
    return refusedChange(name, ["append", "extend", "insert", "pop", "remove", "reverse", "sort", "clear"]);
  }
  return ([item]) => {
    const index = items.findIndex((one) => isEqual(one, item));
    if (index < 0) throw new Error(`${typeName(item)} is not in list`);
    return index;
  };
}

/** transformers renders in Jinja's immutable sandbox, which has no method that changes a value. */
function refusedChange(name: string, changes: readonly string[]): JinjaFunction | undefined {
  if (!changes.includes(name)) return undefined;
  return () => {
    throw new Error(`access to attribute '${name}' is unsafe: a template may not change its values`);
  };
}
