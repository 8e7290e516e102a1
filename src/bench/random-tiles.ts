import { type Codec, type Quantized, TILE_ROWS } from "../codecs/codec.ts";
import { snapScales } from "../codecs/two-level.ts";
import { Random } from "../tensor/random.ts";

/**
 * Tiles drawn for each codec and width; a matrix is a random sequence of them, since drawing a billion numbers would
 * take minutes.
 */
const POOL_TILES = 64;

/**
 * Packed matrices of random numbers for measuring speed: every byte of a matrix lies in memory of its own, so that
 * reading it costs what reading any matrix costs. Numbers have variance 1 / cols, so that activations stay as large as
 * they are.
 */
export class RandomTiles {
  private readonly seed: number;
  private readonly pools = new Map<string, Uint8Array>();

  constructor(seed: number) {
    this.seed = seed;
  }

  /** The matrix of that name: the same bytes for the same seed. */
  matrix(name: string, codec: Codec, { rows, cols }: { readonly rows: number; readonly cols: number }): Uint8Array {
    if (rows % TILE_ROWS !== 0) throw new Error(`${name}: ${rows} rows are no whole tiles`);
    const pool = this.pool(codec, cols);
    const tileBytes = pool.length / POOL_TILES;
    const random = new Random(this.seed).fork(name);
    const bytes = new Uint8Array(codec.packedBytes(rows, cols));
    for (let at = 0; at < bytes.length; at += tileBytes) {
      const tile = random.nextInt(POOL_TILES) * tileBytes;
      bytes.set(pool.subarray(tile, tile + tileBytes), at);
    }
    return bytes;
  }

  private pool(codec: Codec, cols: number): Uint8Array {
    const key = `${codec.id} ${cols}`;
    const made = this.pools.get(key) ?? codec.pack(randomNumbers(codec, cols, new Random(this.seed).fork(key)));
    this.pools.set(key, made);
    return made;
  }
}

function randomNumbers(codec: Codec, cols: number, random: Random): Quantized {
  const rows = POOL_TILES * TILE_ROWS;
  // A uniform number from an interval of width w has the variance w^2 / 12.
  const width = Math.sqrt(12 / cols);
  if (codec.scheme === "float") {
    const values = Float32Array.from({ length: rows * cols }, () => width * (random.next() - 0.5));
    return { kind: "float", rows, cols, values };
  }
  const groups = codec.groupsPerRow(cols);
  const spread = codec.scheme === "table" ? 2 * 127 : 2 ** codec.bits;
  const wanted = Float32Array.from({ length: rows * groups }, () => (width / spread) * (0.5 + random.next()));
  const { scales, rowScales } = snapScales(codec, wanted, groups);
  const lowest = -(2 ** (codec.bits - 1));
  const shifts = codec.scheme === "asymmetric" ? scales.map((s) => s * lowest) : null;
  const minima = shifts && snapScales(codec, shifts, groups);
  return {
    kind: "integer",
    rows,
    cols,
    codes: thinnedOut(codec, randomCodes(rows * cols, codec.bits, random), cols, random),
    scales,
    minima: minima?.scales ?? null,
    rowScales,
    rowMinima: minima?.rowScales ?? null,
  };
}

function randomCodes(count: number, bits: number, random: Random): Uint8Array {
  const codes = new Uint8Array(count);
  const mask = 2 ** bits - 1;
  for (let i = 0; i < count; i += 4) {
    const word = random.nextUint32();
    for (let j = 0; j < 4 && i + j < count; j++) codes[i + j] = (word >>> (8 * j)) & mask;
  }
  return codes;
}

/** A sparse codec's codes, [rows, cols]: of each run a random choice stays, the others become level 0's. */
function thinnedOut({ kept, bits }: Codec, codes: Uint8Array, cols: number, random: Random): Uint8Array {
  if (!kept) return codes;
  let left = 0;
  return codes.map((code, i) => {
    const place = (i % cols) % kept.of;
    if (place === 0) left = kept.count;
    const columnsLeft = Math.min(kept.of - place, cols - (i % cols));
    if (random.nextInt(columnsLeft) >= left) return 2 ** (bits - 1);
    left--;
    return code;
  });
}
