// The integer product for AVX2. Included by kernels.inc.h inside the table's namespace.
//
// Half a tile (8 rows of weights) fills a register: four columns of each row. vpmaddubsw multiplies unsigned codes with signed
// activations and adds pairs in 16 bits; as many products are added there as cannot overflow (safeSums), the rest in 32 bits, so
// every sum is exact. Codes of 8 bits would overflow at the first pair: one row of activations takes them signed, with their
// sign moved to the activations; several rows take them as two codes of 4 bits.
//
// One row of activations (decoding) runs at the speed of memory: a tile is one stream, prefetched kPrefetch bytes ahead (1 to 2
// KiB is best on Zen 3: +20 %; 4 KiB is worse), and four tiles are read at once (+30 %: the prefetchers follow several streams).
// Several rows share codes, which are expanded to the stack once a chunk where the rows are many.

static constexpr int kPrefetch = 1024;
/** Rows of activations that one reading of the weights serves. */
static constexpr int32_t kRowBlock = 128;

/** Products of a quad that can be added in 16 bits: each is at most 2 * 127 * (2^bits - 1). */
static constexpr int safeSums(int bits) { return bits <= 4 ? 8 : bits == 5 ? 4 : 2; }

static inline __m256i loadVector(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

/**
 * Codes of a quad in half a tile, whose levels begin at p (docs/artifact-format.md, section 6). `quad` is known when compiling,
 * by unrolling.
 */
template <int kBits>
static inline __attribute__((always_inline)) __m256i halfCodes(const uint8_t* p, int quad) {
  constexpr int first = kBits == 8 ? 8 : kBits >= 4 ? 4 : 2, second = kBits - first;
  const __m256i vector = loadVector(p + 64 * (quad % first));
  if constexpr (first == 8) return vector;
  const __m256i mask = _mm256_set1_epi8(static_cast<char>((1 << (first & 7)) - 1));
  const __m256i low = _mm256_and_si256(_mm256_srli_epi16(vector, quad / first * first), mask);
  if constexpr (second == 0) return low;
  constexpr int vectors = second > 0 ? second : 1;
  const int field = quad / vectors * second;
  const __m256i plane = loadVector(p + 64 * (first + quad % vectors));
  const __m256i moved = field > first ? _mm256_srli_epi16(plane, field - first) : _mm256_slli_epi16(plane, first - field);
  const __m256i high = _mm256_set1_epi8(static_cast<char>(((1 << second) - 1) << (first & 7)));
  return _mm256_or_si256(low, _mm256_and_si256(moved, high));
}

/** Four activations in all lanes. */
static inline __m256i fourOf(const int8_t* p) {
  int32_t word;
  memcpy(&word, p, sizeof word);
  return _mm256_set1_epi32(word);
}

/** Keeps the compiler from moving a sum's additions: it would load everything first and spill it (a third of the speed). */
static inline __attribute__((always_inline)) void inOrder(__m256i& sum) { asm volatile("" : "+x"(sum)); }

static inline __m256i pairSums(__m256i sums) { return _mm256_madd_epi16(sums, _mm256_set1_epi16(1)); }

/** A group's numbers for 8 rows. */
struct HalfScales {
  __m256 scale, minimum;
};

template <bool kAsymmetric>
static inline __attribute__((always_inline)) HalfScales halfScales(const uint8_t* p) {
  const __m256 scale = _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  if (!kAsymmetric) return {scale, scale};
  return {scale, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 32)))};
}

/** What a chunk's activations of one row are multiplied with. */
struct RowScale {
  float scale;
  int32_t sum;
};

/** acc takes in the exact sums of codes of one chunk. */
template <int kBits, bool kAsymmetric>
static inline __attribute__((always_inline)) __m256 addScaledSums(__m256i dots, HalfScales w, RowScale x, __m256 acc) {
  const __m256i xsum = _mm256_set1_epi32(x.sum);
  const __m256 xscale = _mm256_set1_ps(x.scale);
  const __m256i sums = kAsymmetric ? dots : _mm256_sub_epi32(dots, _mm256_slli_epi32(xsum, kBits - 1));
  acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), _mm256_mul_ps(w.scale, xscale), acc);
  if (!kAsymmetric) return acc;
  return _mm256_fmadd_ps(w.minimum, _mm256_mul_ps(xscale, _mm256_cvtepi32_ps(xsum)), acc);
}

/** Writes 8 sums of a row where the matrix has them: columns first … of y. */
static inline void writeHalf(float* y, int32_t first, int32_t rows, __m256 acc) {
  if (first + 8 <= rows) {
    _mm256_storeu_ps(y + first, acc);
    return;
  }
  float part[8];
  _mm256_storeu_ps(part, acc);
  for (int32_t i = 0; first + i < rows; i++) y[first + i] = part[i];
}

/** A place in a tile's stream of groups and chunks. */
struct TileStream {
  const uint8_t* header;
  const uint8_t* levels;
  int32_t chunksLeft;

  TileStream(const PackedMatrix& w, int32_t tile)
      : header(groupAt(w, tile, 0)), levels(header + groupHeaderBytes(w.asymmetric)), chunksLeft(w.chunksPerGroup) {}

  /** The same place in a tile so many bytes further. */
  TileStream moved(int64_t bytes) const {
    TileStream other = *this;
    other.header += bytes;
    other.levels += bytes;
    return other;
  }

  template <int kBits, bool kAsymmetric>
  void next(int32_t chunksPerGroup) {
    levels += 64 * kBits;
    if (--chunksLeft > 0) return;
    header = levels;
    levels += groupHeaderBytes(kAsymmetric);
    chunksLeft = chunksPerGroup;
  }

  template <int kBits>
  void prefetch() const {
#pragma GCC unroll 8
    for (int line = 0; line < kBits; line++) {
      _mm_prefetch(reinterpret_cast<const char*>(levels) + kPrefetch + 64 * line, _MM_HINT_T0);
    }
  }
};

#include "integer-product-avx2-row.inc.h"
#include "integer-product-avx2-rows.inc.h"

template <int kBits, bool kAsymmetric>
static void productOf(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                      float* y, int64_t ldy) {
  if (rows == 1) return productOfRow<kBits, kAsymmetric>(w, tileFrom, tileTo, x, y);
  if (rows == 2) return productOfRows<kBits, kAsymmetric, 2>(w, tileFrom, tileTo, x, 0, rows, y, ldy);
  if (rows == 3) return productOfRows<kBits, kAsymmetric, 3>(w, tileFrom, tileTo, x, 0, rows, y, ldy);
  if (rows == 4) return productOfRows<kBits, kAsymmetric, 4>(w, tileFrom, tileTo, x, 0, rows, y, ldy);
  for (int32_t from = 0; from < rows; from += kRowBlock) {
    const int32_t count = rows - from < kRowBlock ? rows - from : kRowBlock;
    productOfRows<kBits, kAsymmetric, 0>(w, tileFrom, tileTo, x, from, count, y, ldy);
  }
}

template <int kBits>
static void productOf(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                      float* y, int64_t ldy) {
  if (w.asymmetric) return productOf<kBits, true>(w, tileFrom, tileTo, x, rows, y, ldy);
  productOf<kBits, false>(w, tileFrom, tileTo, x, rows, y, ldy);
}

static void integerProduct(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                           float* y, int64_t ldy) {
  switch (w.kind) {
    case CodecKind::Q2: return productOf<2>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q3: return productOf<3>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q4: return productOf<4>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q5: return productOf<5>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q6: return productOf<6>(w, tileFrom, tileTo, x, rows, y, ldy);
    default: return productOf<8>(w, tileFrom, tileTo, x, rows, y, ldy);
  }
}
