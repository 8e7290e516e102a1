/** A value that stands in a document as it is written here, whether JSON knows it or not: `1e999`, `NaN`. */
export class Raw {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** An object's members in order; a key may stand there twice. */
export class Members {
  readonly entries: [key: string, value: Tree][];

  constructor(entries: [string, Tree][]) {
    this.entries = entries;
  }
}

/** A JSON document to be changed in place. */
export type Tree = null | boolean | number | string | Raw | Members | Tree[];

/** A place in a document: what holds a value, and where. */
export interface Place {
  readonly holder: Members | Tree[];
  readonly index: number;
}

/** Parsed JSON as a tree. */
export function treeOf(value: unknown): Tree {
  if (Array.isArray(value)) return value.map(treeOf);
  if (typeof value === "object" && value !== null) {
    return new Members(Object.entries(value).map(([key, inner]) => [key, treeOf(inner)]));
  }
  return value as Tree;
}

/** A copy that shares nothing. */
export function copyOf(tree: Tree): Tree {
  if (Array.isArray(tree)) return tree.map(copyOf);
  if (tree instanceof Members) return new Members(tree.entries.map(([key, value]) => [key, copyOf(value)]));
  return tree;
}

/** The document as text. */
export function textOf(tree: Tree): string {
  if (tree instanceof Raw) return tree.text;
  if (Array.isArray(tree)) return `[${tree.map(textOf).join(",")}]`;
  if (tree instanceof Members) {
    return `{${tree.entries.map(([key, value]) => `${JSON.stringify(key)}:${textOf(value)}`).join(",")}}`;
  }
  return JSON.stringify(tree);
}

/** Every key of the documents, once. */
export function keysOf(trees: readonly Tree[]): string[] {
  const keys = new Set<string>();
  const walk = (tree: Tree): void => {
    if (Array.isArray(tree)) tree.forEach(walk);
    if (!(tree instanceof Members)) return;
    for (const [key, value] of tree.entries) {
      keys.add(key);
      walk(value);
    }
  };
  trees.forEach(walk);
  return [...keys];
}

/** The value at a place. */
export function at({ holder, index }: Place): Tree {
  return holder instanceof Members ? holder.entries[index][1] : holder[index];
}

/** Puts another value there. */
export function put({ holder, index }: Place, value: Tree): void {
  if (holder instanceof Members) holder.entries[index][1] = value;
  else holder[index] = value;
}

/** How many values a list or an object holds. */
export function sizeOf(holder: Members | Tree[]): number {
  return holder instanceof Members ? holder.entries.length : holder.length;
}
