// Several rows of activations, a few at a time, so that every vector of codes that was loaded serves them all. Where more rows
// come than fit at once, a chunk's codes are expanded to the stack first. Included by integer-product-avx2.inc.h.

/**
 * Where a chunk's codes come from. Codes of up to 6 bits are one vector a quad and half of the tile; codes of 8 bits are two, of
 * their lower and upper 4 bits: part 0 and 1. `again` reads them anew: the compiler would keep all of them for the next rows,
 * and spill them.
 */
template <int kBits>
struct LevelCodes {
  const uint8_t* levels;

  __attribute__((always_inline)) LevelCodes again() const {
    LevelCodes codes = *this;
    asm volatile("" : "+r"(codes.levels) : : "memory");
    return codes;
  }

  __attribute__((always_inline)) __m256i operator()(int quad, int half, int part) const {
    const __m256i codes = halfCodes<kBits>(levels + 32 * half, quad);
    if constexpr (kBits < 8) return codes;
    return _mm256_and_si256(part == 0 ? codes : _mm256_srli_epi16(codes, 4), _mm256_set1_epi8(15));
  }
};

/** Codes expanded to the stack: [quad][half], or [half][quad][part]. */
template <int kBits>
struct CodePanel {
  static constexpr int kVectors = kBits < 8 ? 16 : 32;
  __m256i vectors[kVectors];

  static constexpr int place(int quad, int half, int part) { return kBits < 8 ? 2 * quad + half : 16 * half + 2 * quad + part; }

  __attribute__((always_inline)) void expand(const uint8_t* levels) {
    const LevelCodes<kBits> codes = {levels};
#pragma GCC unroll 32
    for (int i = 0; i < kVectors; i++) {
      const int quad = kBits < 8 ? i / 2 : i / 2 % 8, half = kBits < 8 ? i % 2 : i / 16;
      _mm256_store_si256(&vectors[i], codes(quad, half, i % 2));
    }
  }
};

template <int kBits>
struct PanelCodes {
  const __m256i* vectors;

  __attribute__((always_inline)) PanelCodes again() const {
    PanelCodes codes = *this;
    asm volatile("" : "+r"(codes.vectors) : : "memory");
    return codes;
  }

  __attribute__((always_inline)) __m256i operator()(int quad, int half, int part) const {
    return _mm256_load_si256(vectors + CodePanel<kBits>::place(quad, half, part));
  }
};

/** sums (+)= codes * activations, in 16 bits. */
static inline __attribute__((always_inline)) void addProducts(__m256i& sums, __m256i codes, __m256i x, bool first) {
  const __m256i products = _mm256_maddubs_epi16(codes, x);
  sums = first ? products : _mm256_add_epi16(sums, products);
  inOrder(sums);
}

/** The same pointer, as one register from here on: else the compiler keeps the address of every quad, and spills them. */
static inline __attribute__((always_inline)) const int8_t* inRegister(const int8_t* p) {
  asm volatile("" : "+r"(p));
  return p;
}

/** A chunk's numbers for the 16 rows of a tile. */
struct ChunkScales {
  HalfScales half[2];
};

/** Activations of a chunk, from the first of some rows on. */
struct ChunkRows {
  const int8_t* levels;
  const float* scales;
  const int32_t* sums;

  ChunkRows from(int32_t row) const { return {levels + row * kChunkCols, scales + row, sums + row}; }
};

template <int kBits, bool kAsymmetric>
static inline __attribute__((always_inline)) void finishHalf(__m256i dots, const HalfScales& w, const ChunkRows& x, int row, float* acc) {
  const RowScale scale = {x.scales[row], x.sums[row]};
  _mm256_store_ps(acc, addScaledSums<kBits, kAsymmetric>(dots, w, scale, _mm256_load_ps(acc)));
}

/** Codes of up to 6 bits, both halves of the tile at once; acc is [row][16]. */
template <int kBits, bool kAsymmetric, int kRows, class Codes>
static inline __attribute__((always_inline)) void addSmallCodes(Codes codes, const ChunkScales& w, const ChunkRows& x, float* acc) {
  constexpr int safe = safeSums(kBits);
  const int8_t* levels = inRegister(x.levels);
  __m256i dots[2 * kRows];
#pragma GCC unroll 8
  for (int from = 0; from < 8; from += safe) {
    __m256i sums[2 * kRows];
#pragma GCC unroll 8
    for (int q = from; q < from + safe; q++) {
      const __m256i low = codes(q, 0, 0), high = codes(q, 1, 0);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) {
        const __m256i four = fourOf(levels + kChunkCols * r + 4 * q);
        addProducts(sums[2 * r], low, four, q == from);
        addProducts(sums[2 * r + 1], high, four, q == from);
      }
    }
#pragma GCC unroll 16
    for (int i = 0; i < 2 * kRows; i++) {
      const __m256i pairs = pairSums(sums[i]);
      dots[i] = from == 0 ? pairs : _mm256_add_epi32(dots[i], pairs);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < 2 * kRows; i++) finishHalf<kBits, kAsymmetric>(dots[i], w.half[i % 2], x, i / 2, acc + 8 * i);
}

/** Codes of 8 bits as twice 4 bits, one half of the tile after the other. */
template <bool kAsymmetric, int kRows, class Codes>
static inline __attribute__((always_inline)) void addByteCodes(Codes codes, const ChunkScales& w, const ChunkRows& x, float* acc) {
#pragma GCC unroll 2
  for (int half = 0; half < 2; half++) {
    const int8_t* levels = inRegister(x.levels);
    __m256i low[kRows], high[kRows];
#pragma GCC unroll 8
    for (int q = 0; q < 8; q++) {
      const __m256i lowCode = codes(q, half, 0), highCode = codes(q, half, 1);
#pragma GCC unroll 8
      for (int r = 0; r < kRows; r++) {
        const __m256i four = fourOf(levels + kChunkCols * r + 4 * q);
        addProducts(low[r], lowCode, four, q == 0);
        addProducts(high[r], highCode, four, q == 0);
      }
    }
#pragma GCC unroll 8
    for (int r = 0; r < kRows; r++) {
      const __m256i dots = _mm256_add_epi32(pairSums(low[r]), _mm256_madd_epi16(high[r], _mm256_set1_epi16(16)));
      finishHalf<8, kAsymmetric>(dots, w.half[half], x, r, acc + kTileRows * r + 8 * half);
    }
  }
}

template <int kBits, bool kAsymmetric, int kRows, class Codes>
static inline __attribute__((always_inline)) void addRows(Codes codes, const ChunkScales& w, const ChunkRows& x, float* acc) {
  if constexpr (kBits == 8) {
    addByteCodes<kAsymmetric, kRows>(codes, w, x, acc);
  } else {
    addSmallCodes<kBits, kAsymmetric, kRows>(codes, w, x, acc);
  }
}

/** Rows whose sums fit the registers. */
static constexpr int rowsTogether(int bits) { return bits <= 4 || bits == 8 ? 4 : 2; }

/** Rows of activations from which on expanding the codes first is cheaper than reading the levels again for every few rows. */
static constexpr int32_t kPanelRows = 9;

/** All rows, a few at a time. */
template <int kBits, bool kAsymmetric, class Codes>
static inline __attribute__((always_inline)) void addGroups(Codes codes, const ChunkScales& w, const ChunkRows& x, int32_t rows,
                                                            float* acc) {
  constexpr int together = rowsTogether(kBits);
  int32_t r = 0;
  for (; r + together <= rows; r += together) {
    addRows<kBits, kAsymmetric, together>(codes.again(), w, x.from(r), acc + r * kTileRows);
  }
  if (together > 2 && rows - r == 3) {
    addRows<kBits, kAsymmetric, together - 1>(codes.again(), w, x.from(r), acc + r * kTileRows);
  } else if (together > 2 && rows - r == 2) {
    addRows<kBits, kAsymmetric, 2>(codes.again(), w, x.from(r), acc + r * kTileRows);
  } else if (r < rows) {
    addRows<kBits, kAsymmetric, 1>(codes.again(), w, x.from(r), acc + r * kTileRows);
  }
}

/** One chunk of a tile for any number of rows; acc is [rows][16]. */
template <int kBits, bool kAsymmetric>
static __attribute__((noinline)) void addManyRows(const TileStream& at, const ChunkRows& x, int32_t rows, float* acc) {
  const ChunkScales w = {{halfScales<kAsymmetric>(at.header), halfScales<kAsymmetric>(at.header + 16)}};
  if (rows < kPanelRows) return addGroups<kBits, kAsymmetric>(LevelCodes<kBits>{at.levels}, w, x, rows, acc);
  CodePanel<kBits> panel;
  panel.expand(at.levels);
  addGroups<kBits, kAsymmetric>(PanelCodes<kBits>{panel.vectors}, w, x, rows, acc);
}

/** One chunk of a tile; kRows: how many rows there are where they fit at once, else 0. */
template <int kBits, bool kAsymmetric, int kRows>
static inline __attribute__((always_inline)) void addChunk(const TileStream& at, const ChunkRows& x, int32_t rows, float* acc) {
  if constexpr (kRows > 0) {
    const ChunkScales w = {{halfScales<kAsymmetric>(at.header), halfScales<kAsymmetric>(at.header + 16)}};
    addRows<kBits, kAsymmetric, kRows>(LevelCodes<kBits>{at.levels}, w, x, acc);
  } else {
    addManyRows<kBits, kAsymmetric>(at, x, rows, acc);
  }
}

/** Rows [from, from + rows) of activations with kStreams tiles, `apart` tiles from one to the next; acc has room for all sums. */
template <int kBits, bool kAsymmetric, int kRows, int kTiles>
static inline __attribute__((always_inline)) void addTilesOfRows(const PackedMatrix& w, int32_t tile, int32_t apart,
                                                                 const QuantizedRows& x, int32_t from, int32_t rows, float* y,
                                                                 int64_t ldy, float* acc) {
  const int64_t bytesApart = apart * w.tileStride;
  memset(acc, 0, static_cast<size_t>(kTiles * rows) * kTileRows * sizeof(float));
  TileStream at(w, tile);
  for (int32_t c = 0; c < w.chunks; c++) {
    const int64_t i = static_cast<int64_t>(c) * x.stride + from;
    const ChunkRows chunk = {x.levels + i * kChunkCols, x.scales + i, x.sums + i};
    for (int s = 0; s < kTiles; s++) {
      const TileStream one = at.moved(s * bytesApart);
      one.prefetch<kBits>();
      addChunk<kBits, kAsymmetric, kRows>(one, chunk, rows, acc + s * rows * kTileRows);
    }
    at.next<kBits, kAsymmetric>(w.chunksPerGroup);
  }
  for (int32_t i = 0; i < kTiles * rows; i++) {
    const int32_t first = (tile + i / rows * apart) * kTileRows;
    float* row = y + (from + i % rows) * ldy;
    writeHalf(row, first, w.rows, _mm256_load_ps(acc + i * kTileRows));
    writeHalf(row, first + 8, w.rows, _mm256_load_ps(acc + i * kTileRows + 8));
  }
}

/** Rows up to which memory, not arithmetic, is the limit: their tiles are read as several streams. */
static constexpr int32_t kStreamedRows = 16;

/** Rows [from, from + rows) of activations, at most kRowBlock. */
template <int kBits, bool kAsymmetric, int kRows>
static void productOfRows(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t from,
                          int32_t rows, float* y, int64_t ldy) {
  alignas(64) float acc[kRowBlock * kTileRows];
  static_assert(kStreams * kStreamedRows <= kRowBlock, "the sums of all streams fit");
  const int32_t apart = rows <= kStreamedRows ? (tileTo - tileFrom) / kStreams : 0;
  for (int32_t i = 0; i < apart; i++) {
    addTilesOfRows<kBits, kAsymmetric, kRows, kStreams>(w, tileFrom + i, apart, x, from, rows, y, ldy, acc);
  }
  for (int32_t tile = tileFrom + kStreams * apart; tile < tileTo; tile++) {
    addTilesOfRows<kBits, kAsymmetric, kRows, 1>(w, tile, 0, x, from, rows, y, ldy, acc);
  }
}
