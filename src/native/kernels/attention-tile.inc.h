// The loop that both products of attention are: a tile of a few queries by a few vectors, its sums held in registers.
// Stored numbers are converted on the way in. Included by attention.inc.h.
// Without vector registers a larger tile is only more code.
#if defined(__AVX2__) || defined(__AVX512F__) || defined(__ARM_NEON)
#define LAYERWISE_VECTORS 1
#else
#define LAYERWISE_VECTORS 0
#endif

/** Most queries of a tile. */
static constexpr int kTileQueries = LAYERWISE_VECTORS ? 6 : 2;

/**
 * Vectors of a tile of so many queries: their sums fit the registers, and hide the latency of an fma where they can.
 */
static constexpr int tileVectors(int queries) {
#if defined(__AVX512F__)
  return queries > 0 ? 4 : 0;
#elif !LAYERWISE_VECTORS
  return queries > 0 ? 1 : 0;
#else
  return queries == 1 ? 4 : queries <= 3 ? 2 : 1;
#endif
}

/** For the table of tile functions: none is made that is never called. */
static constexpr int tileOf(int queries) { return queries < kTileQueries ? queries : kTileQueries; }

/**
 * Queries of the next tile where `left` are to be done: tiles of nearly equal size, since a small one converts as much.
 */
static inline int nextTile(int left) {
  const int tiles = (left + kTileQueries - 1) / kTileQueries;
  return (left + tiles - 1) / tiles;
}

/** Keys and values as they lie in a page, and in the scratch: only a page has a next one to fetch ahead of its use. */
struct StoredF32 {
  using Number = float;
  /** Whether positions may have scales. */
  static constexpr bool kScaled = false;
  static constexpr bool kInPage = true;
  static inline F32x16 at(const float* p) { return load(p); }
};

struct Widened : StoredF32 {
  static constexpr bool kScaled = true;
  static constexpr bool kInPage = false;
};

struct StoredF16 {
  using Number = uint16_t;
  static constexpr bool kScaled = false;
  static constexpr bool kInPage = true;
  static inline F32x16 at(const uint16_t* p) { return fromF16(p); }
};

struct StoredQ8 {
  using Number = int8_t;
  static constexpr bool kScaled = true;
  static constexpr bool kInPage = true;
  static inline F32x16 at(const int8_t* p) { return fromI8(p); }
};

/**
 * Places that memory is fetched from in turn, a cache line at a time: one core is served a third faster from four than
 * from one.
 */
static constexpr int kPlaces = 4;

/**
 * Rows of numbers, and what is fetched meanwhile: as many bytes a step as are used, `fetched` bytes after the places'
 * begin.
 */
template <class Stored>
struct StoredRows {
  const typename Stored::Number* numbers;
  int64_t stride;
  const char* const* places;
  int64_t fetched;
};

/** sums[q][v] = fma over i in [from, to) in order of factors[q * factorStride + i] and numbers[i * stride + 16v …]. */
template <class Stored, int Q, int V>
static inline void addProducts(const float* factors, int64_t factorStride, const StoredRows<Stored>& rows, int from,
                               int to, F32x16 (&sums)[Q][V]) {
  const typename Stored::Number* const numbers = rows.numbers;
  const int64_t stride = rows.stride;
  const char* const* const places = rows.places;
  const int64_t fetched = rows.fetched;
  constexpr int stepBytes = 16 * V * sizeof(typename Stored::Number);
  // A copy that nothing points to: the sums stay in registers through the loop.
  F32x16 held[Q][V];
  LAYERWISE_UNROLL
  for (int q = 0; q < Q; q++) {
    LAYERWISE_UNROLL
    for (int v = 0; v < V; v++) held[q][v] = sums[q][v];
  }
  for (int64_t i = from; i < to; i++) {
    if (Stored::kInPage) {
      LAYERWISE_UNROLL
      for (int line = 0; line < stepBytes; line += 64) {
        const uint64_t at = static_cast<uint64_t>(fetched + i * stepBytes + line) / 64;
        __builtin_prefetch(places[at % kPlaces] + at / kPlaces * 64, 0, 2);
      }
    }
    LAYERWISE_UNROLL
    for (int v = 0; v < V; v++) {
#if !defined(__AVX512F__)
      // Vector by vector, with the factors loaded again: a sum that is pushed out of the registers costs half the
      // speed.
      if (v > 0 && Q > 1 && sizeof(typename Stored::Number) < 4) asm volatile("" ::: "memory");
#endif
      const F32x16 row = Stored::at(numbers + i * stride + 16 * v);
      LAYERWISE_UNROLL
      for (int q = 0; q < Q; q++) held[q][v] = fma(broadcast(factors[q * factorStride + i]), row, held[q][v]);
    }
  }
  LAYERWISE_UNROLL
  for (int q = 0; q < Q; q++) {
    LAYERWISE_UNROLL
    for (int v = 0; v < V; v++) sums[q][v] = held[q][v];
  }
}

/** Numbers of a page in f32; `count` is a multiple of 16. */
template <class Stored>
static inline void widen(const typename Stored::Number* numbers, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += 16) store(out + i, Stored::at(numbers + i));
}
