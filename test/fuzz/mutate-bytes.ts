import type { Random } from "../../src/tensor/random.ts";
import { pick } from "./hostile-values.ts";

/** Whole files of other kinds. */
const OTHERS: readonly (string | readonly number[])[] = [
  ...["", "\n", "null", "[]", "{}", "0", '""', "<!DOCTYPE html><html></html>", "GGUF\u0003\u0000\u0000\u0000"],
  "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
  [0x50, 0x4b, 0x03, 0x04],
  [0x1f, 0x8b, 8, 0],
  [0x80, 0x02],
  [0xff, 0xfe, 0x7b, 0],
];

/** Changes a file as bytes: cut, flipped, longer, in another encoding, or another kind of file. */
export function mutateBytes(bytes: Uint8Array, random: Random): Uint8Array {
  return pick(random, CHANGES)(bytes, random);
}

const CHANGES: readonly ((bytes: Uint8Array, random: Random) => Uint8Array)[] = [
  (bytes, random) => bytes.subarray(0, random.nextInt(bytes.length + 1)),
  (bytes, random) => bytes.subarray(0, bytes.length - 1 - random.nextInt(16)),
  flips,
  flips,
  flips,
  (bytes, random) => splice(bytes, random, Buffer.alloc(random.nextInt(64), random.nextInt(256))),
  (bytes, random) => splice(bytes, random, part(bytes, random)),
  (bytes, random) => Buffer.concat([bytes, part(bytes, random)]),
  (bytes) => Buffer.concat([bytes, bytes]),
  (bytes) => Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), bytes]),
  (bytes) => Buffer.from(Buffer.from(bytes).toString("latin1"), "utf16le"),
  (bytes) => Buffer.from(Buffer.from(bytes).toString("latin1").replaceAll("\n", "\r\n"), "latin1"),
  (_, random) => Buffer.from(pick(random, OTHERS) as string),
  (bytes, random) => Buffer.alloc(bytes.length, random.nextInt(256)),
];

/** One to eight bytes changed: a bit, or to a value of the borders. */
function flips(bytes: Uint8Array, random: Random): Uint8Array {
  const changed = Uint8Array.from(bytes);
  if (bytes.length === 0) return changed;
  for (let i = random.nextInt(8); i >= 0; i--) {
    const place = random.nextInt(bytes.length);
    changed[place] = random.nextInt(2)
      ? changed[place] ^ (1 << random.nextInt(8))
      : pick(random, [0, 0x7f, 0x80, 0xff]);
  }
  return changed;
}

function part(bytes: Uint8Array, random: Random): Uint8Array {
  const start = random.nextInt(bytes.length + 1);
  return bytes.subarray(start, start + random.nextInt(256));
}

/** Puts bytes into the file, in place of up to as many. */
function splice(bytes: Uint8Array, random: Random, inserted: Uint8Array): Uint8Array {
  const place = random.nextInt(bytes.length + 1);
  return Buffer.concat([
    bytes.subarray(0, place),
    inserted,
    bytes.subarray(place + random.nextInt(inserted.length + 1)),
  ]);
}

/** Lengths and counts of binary headers that lie. */
export const LENGTHS: readonly bigint[] = [
  ...[0n, 1n, 2n, 7n, 8n, 255n, 65_536n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n, 2n ** 53n, 2n ** 63n],
  ...[100_000_000n, 100_000_001n, 2n ** 64n - 1n],
];
