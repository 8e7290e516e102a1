// Several rows of activations, a few at a time, so that every vector of codes that was loaded serves them all. Where
// more rows come than fit at once, a chunk's codes are expanded to the stack first. Included by
// integer-product-avx2.inc.h.

#include "integer-product-avx2-codes.inc.h"

/** sums (+)= codes * activations, in 16 bits. */
static inline __attribute__((always_inline)) void addProducts(__m256i& sums, __m256i codes, __m256i x, bool first) {
  const __m256i products = _mm256_maddubs_epi16(codes, x);
  sums = first ? products : _mm256_add_epi16(sums, products);
  inOrder(sums);
}

/**
 * The same pointer, as one register from here on: else the compiler keeps the address of every quad, and spills them.
 */
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

/** A row's numbers, made once: as far as the compiler knows, writing sums may change them. */
template <int kBits, bool kAsymmetric>
static inline __attribute__((always_inline)) RowScale scaleOf(const ChunkRows& x, int row) {
  RowScale scale = rowScale<kBits, kAsymmetric>(x.scales[row], x.sums[row]);
  asm volatile("" : "+x"(scale.scale), "+x"(scale.sum));
  return scale;
}

/** acc takes in a row's exact sums of half a tile. */
template <bool kAsymmetric>
static inline __attribute__((always_inline)) void finishHalf(__m256i dots, const HalfScales& w, const RowScale& x,
                                                             float* acc) {
  _mm256_store_ps(acc, addScaledSums<kAsymmetric>(dots, w, x, _mm256_load_ps(acc)));
}

/** Codes of up to 6 bits, both halves of the tile at once; acc is [row][16]. */
template <int kBits, bool kAsymmetric, int kRows, class Codes>
static inline __attribute__((always_inline)) void addSmallCodes(Codes codes, const ChunkScales& w, const ChunkRows& x,
                                                                float* acc) {
  constexpr int safe = safeQuads(mostCode(kBits));
  const int8_t* levels = inRegister(x.levels);
  __m256i dots[2 * kRows];
  LAYERWISE_UNROLL
  for (int from = 0; from < 8; from += safe) {
    __m256i sums[2 * kRows];
    LAYERWISE_UNROLL
    for (int i = from; i < from + safe; i++) {
      const int q = quadAt<kBits>(i);
      const __m256i low = codes(q, 0, 0), high = codes(q, 1, 0);
      LAYERWISE_UNROLL
      for (int r = 0; r < kRows; r++) {
        const __m256i four = fourOf(levels + kChunkCols * r + 4 * q);
        addProducts(sums[2 * r], low, four, i == from);
        addProducts(sums[2 * r + 1], high, four, i == from);
      }
    }
    LAYERWISE_UNROLL_UP_TO(16)
    for (int i = 0; i < 2 * kRows; i++) {
      const __m256i pairs = pairSums(sums[i]);
      dots[i] = from == 0 ? pairs : _mm256_add_epi32(dots[i], pairs);
    }
  }
  LAYERWISE_UNROLL
  for (int r = 0; r < kRows; r++) {
    const RowScale row = scaleOf<kBits, kAsymmetric>(x, r);
    finishHalf<kAsymmetric>(dots[2 * r], w.half[0], row, acc + kTileRows * r);
    finishHalf<kAsymmetric>(dots[2 * r + 1], w.half[1], row, acc + kTileRows * r + 8);
  }
}

/** Codes of 8 bits as twice 4 bits, one half of the tile after the other. */
template <bool kAsymmetric, int kRows, class Codes>
static inline __attribute__((always_inline)) void addByteCodes(Codes codes, const ChunkScales& w, const ChunkRows& x,
                                                               float* acc) {
  LAYERWISE_UNROLL
  for (int half = 0; half < 2; half++) {
    const int8_t* levels = inRegister(x.levels);
    __m256i low[kRows], high[kRows];
    LAYERWISE_UNROLL
    for (int q = 0; q < 8; q++) {
      const __m256i lowCode = codes(q, half, 0), highCode = codes(q, half, 1);
      LAYERWISE_UNROLL
      for (int r = 0; r < kRows; r++) {
        const __m256i four = fourOf(levels + kChunkCols * r + 4 * q);
        addProducts(low[r], lowCode, four, q == 0);
        addProducts(high[r], highCode, four, q == 0);
      }
    }
    LAYERWISE_UNROLL
    for (int r = 0; r < kRows; r++) {
      const __m256i dots = _mm256_add_epi32(pairSums(low[r]), _mm256_madd_epi16(high[r], _mm256_set1_epi16(16)));
      finishHalf<kAsymmetric>(dots, w.half[half], scaleOf<8, kAsymmetric>(x, r), acc + kTileRows * r + 8 * half);
    }
  }
}

template <int kBits, bool kAsymmetric, int kRows, class Codes>
static inline __attribute__((always_inline)) void addRows(Codes codes, const ChunkScales& w, const ChunkRows& x,
                                                          float* acc) {
  if constexpr (kBits == 8) {
    addByteCodes<kAsymmetric, kRows>(codes, w, x, acc);
  } else {
    addSmallCodes<kBits, kAsymmetric, kRows>(codes, w, x, acc);
  }
}

/** Rows whose sums fit the registers. */
static constexpr int rowsTogether(int bits) { return bits <= 4 || bits == 8 ? 4 : 2; }

/** All rows, a few at a time. */
template <int kBits, bool kAsymmetric, class Codes>
static inline __attribute__((always_inline)) void addGroups(Codes codes, const ChunkScales& w, const ChunkRows& x,
                                                            int32_t rows, float* acc) {
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

/**
 * Scales of either kind, found out when running: a branch a chunk costs little beside several rows, and one more set of
 * these loops would double the table's size.
 */
template <bool kAsymmetric>
static inline __attribute__((always_inline)) ChunkScales chunkScales(bool twoLevel, const uint8_t* header,
                                                                     const OwnScales& own) {
  if (twoLevel) return {{halfScales<kAsymmetric, true>(header, 0, own), halfScales<kAsymmetric, true>(header, 1, own)}};
  return {{halfScales<kAsymmetric, false>(header, 0, own), halfScales<kAsymmetric, false>(header, 1, own)}};
}

/** One chunk of a tile for many rows: its codes are expanded first. acc is [rows][16]. */
template <class F>
static __attribute__((noinline)) void addManyRows(LevelCodes<F> codes, const ChunkScales& w, const ChunkRows& x,
                                                  int32_t rows, float* acc) {
  CodePanel<F::kLevelBits> panel;
  panel.expand(codes);
  addGroups<F::kLevelBits, F::kAsymmetric>(PanelCodes<F::kLevelBits>{panel.vectors}, w, x, rows, acc);
}

/**
 * Rows [from, from + rows) of activations with kTiles tiles, `apart` tiles from one to the next; acc has room for all
 * sums. kRows: how many rows there are where they fit at once, else 0. `ahead`: whether the tiles come from memory.
 */
template <class F, int kRows, int kTiles>
static inline __attribute__((always_inline)) void addTilesOfRows(const PackedMatrix& w, int32_t tile, int32_t apart,
                                                                 bool ahead, const QuantizedRows& x, int32_t from,
                                                                 int32_t rows, float* y, int64_t ldy, float* acc) {
  const int64_t bytesApart = apart * w.tileStride;
  memset(acc, 0, static_cast<size_t>(kTiles * rows) * kTileRows * sizeof(float));
  OwnScales own[kTiles];
  for (int s = 0; w.twoLevel && s < kTiles; s++) readOwnScales(w, tile + s * apart, &own[s]);
  const int header = groupHeaderBytes(F::kAsymmetric, w.twoLevel);
  const int32_t chunkBytes = chunkBytesOf<F>(w);
  ChunkRoom<F::kSparse> rooms[kTiles];
  TileStream at = TileStream::of(w, tile);
  for (int32_t c = 0; c < w.chunks; c++) {
    const int64_t i = static_cast<int64_t>(c) * x.stride + from;
    const ChunkRows chunk = {x.levels + i * kChunkCols, x.scales + i, x.sums + i};
    for (int s = 0; s < kTiles; s++) {
      const TileStream one = at.moved(s * bytesApart);
      float* sums = acc + s * rows * kTileRows;
      if (ahead) one.prefetch(chunkBytes);
      const LevelCodes<F> codes{planesOf<F>(w, one.levels, c, &rooms[s])};
      const ChunkScales scales = chunkScales<F::kAsymmetric>(w.twoLevel, one.header, own[s]);
      if constexpr (kRows > 0) {
        addRows<F::kLevelBits, F::kAsymmetric, kRows>(codes, scales, chunk, sums);
      } else {
        addManyRows<F>(codes, scales, chunk, rows, sums);
      }
    }
    at = at.next(chunkBytes, header, w.chunksPerGroup);
  }
  for (int32_t i = 0; i < kTiles * rows; i++) {
    const int32_t first = (tile + i / rows * apart) * kTileRows;
    float* row = y + (from + i % rows) * ldy;
    writeHalf(row, first, w.rows, _mm256_load_ps(acc + i * kTileRows));
    writeHalf(row, first + 8, w.rows, _mm256_load_ps(acc + i * kTileRows + 8));
  }
}

/**
 * Rows up to which memory limits as much as arithmetic: several tiles are read at once, and again from the cache for
 * every few rows.
 */
static constexpr int32_t kFewRows = 16;
/** Of these, rows at a time. */
static constexpr int kFewTogether = 4;

template <class F, int kTiles>
static inline __attribute__((always_inline)) void addTilesOfFewRows(const PackedMatrix& w, int32_t tile, int32_t apart,
                                                                    const QuantizedRows& x, int32_t rows, float* y,
                                                                    int64_t ldy) {
  alignas(64) float acc[kTiles * kFewTogether * kTileRows];
  for (int32_t r = 0; r < rows; r += kFewTogether) {
    const bool ahead = r == 0;
    switch (rows - r) {
      case 1: addTilesOfRows<F, 1, kTiles>(w, tile, apart, ahead, x, r, 1, y, ldy, acc); break;
      case 2: addTilesOfRows<F, 2, kTiles>(w, tile, apart, ahead, x, r, 2, y, ldy, acc); break;
      case 3: addTilesOfRows<F, 3, kTiles>(w, tile, apart, ahead, x, r, 3, y, ldy, acc); break;
      default: addTilesOfRows<F, 4, kTiles>(w, tile, apart, ahead, x, r, 4, y, ldy, acc);
    }
  }
}

/** Up to kFewRows rows of activations. */
template <class F>
static void productOfFewRows(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x,
                             int32_t rows, float* y, int64_t ldy) {
  const int32_t apart = (tileTo - tileFrom) / kStreams;
  for (int32_t i = 0; i < apart; i++) {
    addTilesOfFewRows<F, kStreams>(w, tileFrom + i, apart, x, rows, y, ldy);
  }
  for (int32_t tile = tileFrom + kStreams * apart; tile < tileTo; tile++) {
    addTilesOfFewRows<F, 1>(w, tile, 0, x, rows, y, ldy);
  }
}

/** Rows of activations that one reading of the weights serves. */
static constexpr int32_t kRowBlock = 128;

/** Any number of rows. */
template <class F>
static void productOfManyRows(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x,
                              int32_t rows, float* y, int64_t ldy) {
  alignas(64) float acc[kRowBlock * kTileRows];
  for (int32_t from = 0; from < rows; from += kRowBlock) {
    const int32_t count = rows - from < kRowBlock ? rows - from : kRowBlock;
    for (int32_t tile = tileFrom; tile < tileTo; tile++) {
      addTilesOfRows<F, 0, 1>(w, tile, 0, true, x, from, count, y, ldy, acc);
    }
  }
}
