import type { Codec } from "../../src/codecs/codec.ts";

/** The codes as the codec can store them, [rows, cols]: of a sparse codec all but some become the code of level 0. */
export function withinKept({ kept, bits }: Codec, codes: Uint8Array, cols: number): Uint8Array {
  if (!kept) return codes;
  return codes.map((code, i) => {
    const [row, col] = [Math.floor(i / cols), i % cols];
    const run = Math.floor(col / kept.of);
    // Which are kept differs from run to run and from row to row; in a short last run as many as there is room for.
    const width = Math.min(kept.of, cols - run * kept.of);
    const step = width === kept.of ? 5 : 1;
    return ((col % kept.of) * step + row * 3 + run * 7) % width < kept.count ? code : 2 ** (bits - 1);
  });
}
