// What the integer products share whose registers hold codes of many rows. Included by integer-product-<isa>.inc.h,
// which defines for its instruction set
//   Lanes::Bytes              a register of codes
//   Lanes::words(word)        four bytes in every place of one
//   Lanes::kProductsOfQuad    products of a quad's four columns that meet in one sum of 16 bits
//   Lanes::kPrefetch          bytes read ahead of a tile's stream

/** Four activations in every place. */
static inline Lanes::Bytes fourOf(const int8_t* p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  return Lanes::words(word);
}

/** Largest code of so many bits. */
static constexpr int mostCode(int bits) { return (1 << bits) - 1; }

/** Quads, 8 or a half, a quarter, … of them, whose products with activations of up to 127 can be added in 16 bits. */
static constexpr int safeQuads(int mostCode) {
  int quads = 8;
  while (quads > 1 && quads * Lanes::kProductsOfQuad * 127 * mostCode > INT16_MAX) quads /= 2;
  return quads;
}

/** A place in a tile's stream of groups and chunks. */
struct TileStream {
  const uint8_t* header;
  const uint8_t* levels;
  int32_t chunksLeft;

  static inline TileStream of(const PackedMatrix& w, int32_t tile) {
    const uint8_t* header = groupAt(w, tile, 0);
    return {header, header + groupHeaderBytes(w.asymmetric, w.twoLevel), w.chunksPerGroup};
  }

  /** The same place in a tile so many bytes further. */
  TileStream moved(int64_t bytes) const {
    TileStream other = *this;
    other.header += bytes;
    other.levels += bytes;
    return other;
  }

  /** The next chunk, and its group. */
  TileStream next(int32_t chunkBytes, int headerBytes, int32_t chunksPerGroup) const {
    const uint8_t* after = levels + chunkBytes;
    if (chunksLeft > 1) return {header, after, chunksLeft - 1};
    return {after, after + headerBytes, chunksPerGroup};
  }

  /** Asks for a chunk's lines of the stream that are still far. */
  __attribute__((always_inline)) void prefetch(int32_t chunkBytes) const {
    LAYERWISE_UNROLL
    for (int32_t at = 0; at < chunkBytes; at += 64) __builtin_prefetch(levels + Lanes::kPrefetch + at);
  }
};
