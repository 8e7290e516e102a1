import { loadNative } from "./load.ts";

/**
 * `length` zeroed bytes that the addon can use in place: from a multiple of 64, in memory that stays where it is while
 * the addon holds a share. Ordinary memory without an addon, where nobody needs the alignment.
 */
export function alignedBytes(length: number): Uint8Array {
  const { addon } = loadNative();
  return addon ? new Uint8Array(addon.alignedBytes(length)) : new Uint8Array(length);
}

/** True where the bytes begin at a multiple of 64 in memory. JavaScript cannot see that: false without an addon. */
export function isAligned(bytes: Uint8Array): boolean {
  return loadNative().addon?.isAligned(bytes) ?? false;
}

/**
 * The same bytes where the addon can use them in place for as long as it likes (aligned, and within a mapped file or
 * {@link alignedBytes}), else a copy that it can.
 */
export function aligned(bytes: Uint8Array): Uint8Array {
  const { addon } = loadNative();
  if (!addon || addon.isKept(bytes)) return bytes;
  const copy = alignedBytes(bytes.length);
  copy.set(bytes);
  return copy;
}
