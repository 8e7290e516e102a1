import type { Random } from "../../src/tensor/random.ts";
import { NUMBERS, pick, TEXTS } from "./hostile-values.ts";
import { LENGTHS, mutateBytes } from "./mutate-bytes.ts";
import { type Dictionary, mutateTree } from "./mutate-tree.ts";
import { Raw, type Tree, textOf, treeOf } from "./tree.ts";

/** A changed file's bytes. */
export type Mutate = (bytes: Uint8Array, random: Random) => Uint8Array;

const json = (bytes: Uint8Array): Tree => treeOf(JSON.parse(Buffer.from(bytes).toString("utf8")));

/** Changes a JSON file: mostly its values, sometimes its bytes. */
export function jsonMutator(dictionary: Dictionary): Mutate {
  return (bytes, random) => {
    if (random.nextInt(8) === 0) return mutateBytes(bytes, random);
    const text = Buffer.from(textOf(mutateTree(json(bytes), random, dictionary)));
    return random.nextInt(20) === 0 ? mutateBytes(text, random) : text;
  };
}

/** Changes a file of one JSON value a line, line by line. */
export function jsonLinesMutator(dictionary: Dictionary): Mutate {
  const mutate = jsonMutator(dictionary);
  return (bytes, random) => {
    if (random.nextInt(6) === 0) return mutateBytes(bytes, random);
    const lines = Buffer.from(bytes).toString("utf8").trimEnd().split("\n");
    const i = random.nextInt(lines.length);
    lines[i] = Buffer.from(mutate(Buffer.from(lines[i]), random)).toString("utf8");
    return Buffer.from(lines.join(pick(random, ["\n", "\n", "\r\n", "\r", "\n\n"])));
  };
}

/** What lines of YAML may hold beside JSON's values. */
const YAML_VALUES: readonly string[] = [
  ...[
    "&a [*a]",
    "*a",
    "&a x",
    "!!binary x",
    "!!float .nan",
    "!!int 0x7f",
    "!nothing x",
    "<<: *a",
    "? a",
    "- - - -",
    "|",
    ">",
  ],
  ...[
    ".inf",
    "-.inf",
    ".nan",
    "~",
    "yes",
    "no",
    "0o17",
    "1_000",
    "2024-01-01",
    "'",
    '"',
    "[",
    "{",
    "]",
    "}",
    ":",
    "- ",
    "#",
  ],
  ...[
    "%YAML 1.1",
    "---",
    "...",
    "\t",
    "{a: b, a: c}",
    "[a, b",
    "@x",
    "`x",
    "16 MiB",
    "-5 MiB",
    "1e999 GiB",
    "0.5",
    "8 bits",
  ],
  ...["- ".repeat(3000), "[".repeat(3000), "? ".repeat(500), "{a: ".repeat(1000), "a: ".repeat(200), "&a ".repeat(200)],
  `[${Array.from({ length: 30 }, (_, i) => `&a${i} [${i > 0 ? `*a${i - 1},`.repeat(9) : ""}x]`).join(", ")}]`,
];

/** Changes a YAML file: as JSON (which YAML holds), by lines, or as bytes. `document`: what the file says. */
export function yamlMutator(document: unknown, dictionary: Dictionary): Mutate {
  return (bytes, random) => {
    const kind = random.nextInt(8);
    if (kind === 0) return mutateBytes(bytes, random);
    if (kind < 4) return Buffer.from(textOf(mutateTree(treeOf(document), random, dictionary)));
    const lines = Buffer.from(bytes).toString("utf8").split("\n");
    for (let changes = 1 + random.nextInt(3); changes > 0; changes--) changeLine(lines, random, dictionary);
    return Buffer.from(lines.join("\n"));
  };
}

function changeLine(lines: string[], random: Random, { keys }: Dictionary): void {
  const i = random.nextInt(lines.length);
  const value = () =>
    pick(random, [...YAML_VALUES, ...TEXTS, ...NUMBERS.map((n) => (n instanceof Raw ? n.text : `${n}`))]);
  const key = /^(\s*(?:- )?[\w{ ]+:)/.exec(lines[i])?.[1];
  const kind = random.nextInt(7);
  if (kind < 3 && key) lines[i] = `${key} ${value()}`;
  else if (kind === 3) lines.splice(i, 1);
  else if (kind === 4) lines.splice(i, 0, lines[i]);
  else if (kind === 5) lines[i] = `${" ".repeat(random.nextInt(9))}${lines[i].trimStart()}`;
  else lines.splice(i, 0, `${/^\s*/.exec(lines[i])?.[0]}${pick(random, ["a", ...keys])}: ${value()}`);
}

/** Bytes of numbers that are none: f32 and f16 infinities and NaN, and the largest. */
const ODD_BYTES: readonly (readonly number[])[] = [
  [0, 0, 0x80, 0x7f],
  [0, 0, 0xc0, 0x7f],
  [0xff, 0xff, 0x7f, 0x7f],
  [0, 0x7c],
  [0, 0x7e],
  [0xff, 0x7b],
  [0xff, 0xff, 0xff, 0xff],
];

/** Changes a safetensors file: its header as JSON, the length before it, its data, or its bytes anywhere. */
export function safetensorsMutator(dictionary: Dictionary): Mutate {
  return (bytes, random) => {
    const kind = random.nextInt(8);
    if (kind === 0) return mutateBytes(bytes, random);
    const headerBytes = Number(Buffer.from(bytes).readBigUInt64LE());
    const [header, data] = [bytes.subarray(8, 8 + headerBytes), bytes.subarray(8 + headerBytes)];
    const lie = () => (random.nextInt(8) === 0 ? pick(random, LENGTHS) : null);
    if (kind < 5) {
      const text = Buffer.from(textOf(mutateTree(json(header), random, dictionary)));
      return withHeader(text, data, lie());
    }
    if (kind === 5) return withHeader(header, mutateBytes(data, random), lie());
    return withHeader(header, withOddNumbers(data, random), null);
  };
}

function withHeader(header: Uint8Array, data: Uint8Array, lie: bigint | null): Uint8Array {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(lie ?? BigInt(header.length));
  return Buffer.concat([length, header, data]);
}

function withOddNumbers(data: Uint8Array, random: Random): Uint8Array {
  const changed = Uint8Array.from(data);
  const times = pick(random, [1, 1, 20, 2000]);
  for (let i = 0; i < times; i++) {
    const odd = pick(random, ODD_BYTES);
    const place = random.nextInt(Math.max(1, data.length / 4)) * 4;
    if (place + odd.length <= data.length) changed.set(odd, place);
  }
  return changed;
}

/** Bytes of a GGUF header in which counts, lengths and types lie. */
const GGUF_HEAD = 4096;

/** Changes a GGUF file: lengths, counts and types in its header, or its bytes anywhere. */
export const mutateGguf: Mutate = (bytes, random) => {
  if (random.nextInt(4) === 0) return mutateBytes(bytes, random);
  const changed = Buffer.from(bytes);
  for (let i = random.nextInt(4); i >= 0; i--) {
    const place = random.nextInt(Math.min(GGUF_HEAD, bytes.length - 8));
    const length = pick(random, LENGTHS);
    if (random.nextInt(2) === 0) changed.writeBigUInt64LE(length, place);
    else changed.writeUInt32LE(Number(length & 0xffff_ffffn), place);
  }
  return changed;
};
