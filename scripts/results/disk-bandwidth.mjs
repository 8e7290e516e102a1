// How fast a file is read past the system's cache, one read after the other.
import { closeSync, constants, fstatSync, openSync, readSync } from "node:fs";
import { loadNative } from "../../dist/native/load.js";

const SIZES = [1, 2, 4, 16].map((mib) => mib * 2 ** 20);

/** Bytes a second of reads of each size through the whole file; the best of them. */
export function diskBandwidth(file) {
  const handle = openSync(file, constants.O_RDONLY | constants.O_DIRECT);
  try {
    const { size } = fstatSync(handle);
    return Math.max(...SIZES.map((bytes) => readThrough(handle, size, bytes)));
  } finally {
    closeSync(handle);
  }
}

function readThrough(handle, size, bytes) {
  const buffer = new Uint8Array(loadNative().addon.alignedBytes(bytes));
  const began = performance.now();
  let done = 0;
  for (let at = 0; at + bytes <= size; at += bytes) done += readSync(handle, buffer, 0, bytes, at);
  return (1000 * done) / (performance.now() - began);
}
