import type { Random } from "../../src/tensor/random.ts";
import { hostileValue, NUMBERS, PATTERNS, pick, TEXTS } from "./hostile-values.ts";
import { at, copyOf, Members, type Place, put, Raw, sizeOf, type Tree } from "./tree.ts";

/** What changes of documents draw from. */
export interface Dictionary {
  /** Names of fields that such documents have. */
  readonly keys: readonly string[];
  /** Parts that such documents hold, to be put in places where they do not belong, or do. */
  readonly parts: readonly Tree[];
}

/** Share of the walks down that end at each level: fields near the root decide most. */
const STOP = 0.35;
const MAX_CHANGES = 3;

/** Changes one to three things of a document, which is copied. */
export function mutateTree(document: Tree, random: Random, dictionary: Dictionary): Tree {
  const root: Tree[] = [copyOf(document)];
  const changes = 1 + random.nextInt(MAX_CHANGES);
  for (let i = 0; i < changes; i++) {
    const place = walk(root, random);
    pick(random, CHANGES)({ place, other: walk(root, random), random, dictionary });
  }
  return root[0] ?? null;
}

/** A place that is reached by going down at random. */
function walk(root: Tree[], random: Random): Place {
  let place: Place = { holder: root, index: 0 };
  for (;;) {
    const value = at(place);
    if (!(Array.isArray(value) || value instanceof Members) || sizeOf(value) === 0) return place;
    if (place.holder !== root && random.next() < STOP) return place;
    place = { holder: value, index: random.nextInt(sizeOf(value)) };
  }
}

interface Change {
  readonly place: Place;
  readonly other: Place;
  readonly random: Random;
  readonly dictionary: Dictionary;
}

const CHANGES: readonly ((change: Change) => void)[] = [
  ({ place: { holder, index } }) => void (holder instanceof Members ? holder.entries : holder).splice(index, 1),
  ({ place }) => put(place, null),
  ({ place, random }) => put(place, hostileValue(random)),
  ({ place, random }) => put(place, hostileValue(random)),
  ({ place, random }) => put(place, nearValue(at(place), random)),
  ({ place, random }) => put(place, nearValue(at(place), random)),
  ({ place, random }) => put(place, nearValue(at(place), random)),
  ({ place, other }) => put(place, copyOf(at(other))),
  ({ place, other }) => {
    const value = at(place);
    put(place, copyOf(at(other)));
    put(other, copyOf(value));
  },
  ({ place, random, dictionary }) => put(place, copyOf(pick(random, [null, ...dictionary.parts]))),
  ({ place, random, dictionary }) => put(place, copyOf(pick(random, [null, ...dictionary.parts]))),
  repeat,
  rename,
  insert,
  insert,
  ({ place, random }) => {
    const value = at(place);
    if (Array.isArray(value)) random.shuffle(value);
    else if (value instanceof Members) random.shuffle(value.entries);
  },
  ({ place, random }) => {
    const depth = pick(random, [1, 2, 90]);
    let value = at(place);
    for (let i = 0; i < depth; i++) value = random.nextInt(2) === 0 ? [value] : new Members([["a", value]]);
    put(place, value);
  },
];

/** A value of the same type that is a little or far off. */
function nearValue(value: Tree, random: Random): Tree {
  if (typeof value === "boolean") return !value;
  if (typeof value === "number") {
    const near = [value + 1, value - 1, -value, value * 2, value / 2, value + 0.5, value * 1000, value * 2 ** 40];
    return random.nextInt(2) === 0 ? pick(random, near) : pick(random, NUMBERS);
  }
  if (typeof value === "string") {
    const place = random.nextInt(value.length + 1);
    const near = [value + value, value.slice(0, place), ` ${value}`, value.toUpperCase(), `${value}\0`, `${value}\n`];
    const inside = `${value.slice(0, place)}${pick(random, TEXTS)}${value.slice(place)}`;
    return pick(random, [...near, inside, pick(random, TEXTS), pick(random, PATTERNS)]);
  }
  if (Array.isArray(value)) return pick<Tree>(random, [[], [...value, ...value.map(copyOf)], value.slice(1)]);
  return hostileValue(random);
}

/** The same item again, once or a thousand times; a key twice, with another value. */
function repeat({ place: { holder, index }, random }: Change): void {
  if (holder instanceof Members) {
    const [key, value] = holder.entries[index];
    holder.entries.push([key, random.nextInt(2) === 0 ? copyOf(value) : hostileValue(random)]);
    return;
  }
  const value = holder[index];
  const large = sizeIfHolder(value) > 20;
  const times = large ? 2 : pick(random, [1, 2, 1000]);
  for (let i = 0; i < times; i++) holder.splice(index, 0, copyOf(value));
}

function sizeIfHolder(value: Tree): number {
  return Array.isArray(value) || value instanceof Members ? sizeOf(value) : 0;
}

function rename({ place: { holder, index }, random, dictionary }: Change): void {
  if (holder instanceof Members) holder.entries[index][0] = newKey(random, dictionary);
  else holder[index] = new Raw("{}");
}

function insert({ place, random, dictionary }: Change): void {
  const value = at(place);
  const added: [string, Tree] = [newKey(random, dictionary), hostileValue(random)];
  if (value instanceof Members) value.entries.splice(random.nextInt(value.entries.length + 1), 0, added);
  else if (Array.isArray(value)) value.splice(random.nextInt(value.length + 1), 0, added[1]);
  else if (place.holder instanceof Members) place.holder.entries.push(added);
}

function newKey(random: Random, { keys }: Dictionary): string {
  return random.nextInt(4) === 0 ? pick(random, TEXTS) : pick(random, ["a", ...keys]);
}
