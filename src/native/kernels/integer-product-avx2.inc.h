// The integer product for AVX2. Included by device-kernels.inc.h inside the table's namespace.
//
// Half a tile (8 rows of weights) fills a register: four columns of each row. vpmaddubsw multiplies unsigned codes with
// signed activations and adds pairs in 16 bits; as many products are added there as cannot overflow (safeQuads), the
// rest in 32 bits, so every sum is exact. Codes of 8 bits would overflow at the first pair: one row of activations
// takes them signed, with their sign moved to the activations; several rows take them as two codes of 4 bits.
//
// One row of activations (decoding) runs at the speed of memory: a tile is one stream, prefetched kPrefetch bytes ahead
// (1 to 2 KiB is best on Zen 3: +20 %; 4 KiB is worse), and four tiles are read at once (+30 %: the prefetchers follow
// several streams). A few rows do the same four rows at a time; many share codes that are expanded to the stack once a
// chunk.

struct Lanes {
  using Bytes = __m256i;
  static Bytes words(int32_t word) { return _mm256_set1_epi32(word); }
  static constexpr int kProductsOfQuad = 2;
  static constexpr int kPrefetch = 1024;
};

#include "integer-lanes.inc.h"

static inline __m256i loadVector(const uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

/**
 * Codes of a quad in half a tile, whose levels begin at p (docs/artifact-format.md, section 6). `quad` is known when
 * compiling, by unrolling.
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
  const __m256i moved =
      field > first ? _mm256_srli_epi16(plane, field - first) : _mm256_slli_epi16(plane, first - field);
  const __m256i high = _mm256_set1_epi8(static_cast<char>(((1 << second) - 1) << (first & 7)));
  return _mm256_or_si256(low, _mm256_and_si256(moved, high));
}

/** A table's numbers for the codes of a quad in half a tile. */
template <int kBits>
static inline __attribute__((always_inline)) __m256i halfLevels(const uint8_t* p, int quad, const int8_t* table) {
  if constexpr (kBits <= 4) return lookUp(halfCodes<kBits>(p, quad), sixteenOf(table));
  // The fifth bit, a plane of its own, chooses between two sixteens: it only has to come to the top of its byte.
  const __m256i low = halfCodes<4>(p, quad), fifth = _mm256_slli_epi16(loadVector(p + 64 * 4), 7 - quad);
  return _mm256_blendv_epi8(lookUp(low, sixteenOf(table)), lookUp(low, sixteenOf(table + 16)), fifth);
}

/**
 * The i-th quad: those whose codes share a vector follow each other, so that it is loaded once. The sums are exact in
 * any order.
 */
template <int kBits>
static constexpr int quadAt(int i) {
  return kBits == 4 ? i / 2 + i % 2 * 4 : i;
}

/**
 * Keeps the compiler from moving a sum's additions: it would load everything first and spill it (a third of the speed).
 */
static inline __attribute__((always_inline)) void inOrder(__m256i& sum) { asm volatile("" : "+x"(sum)); }

static inline __m256i pairSums(__m256i sums) { return _mm256_madd_epi16(sums, _mm256_set1_epi16(1)); }

/** A group's numbers for 8 rows. */
struct HalfScales {
  __m256 scale, minimum;
};

/** The rows' own scales [16] and minima [16] of a tile with two-level scales. */
struct OwnScales {
  alignas(32) float numbers[2 * kTileRows] = {};
};

static inline __attribute__((always_inline)) void readOwnScales(const PackedMatrix& w, int32_t tile, OwnScales* own) {
  store(own->numbers, rowNumbers(w, tile, 0));
  if (w.asymmetric) store(own->numbers + kTileRows, rowNumbers(w, tile, 1));
}

/** Numbers of 8 rows: f16 at p, or int8 times the rows' own. */
template <bool kTwoLevel>
static inline __attribute__((always_inline)) __m256 halfNumbers(const uint8_t* p, const float* own) {
  if constexpr (!kTwoLevel) return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  const __m128i codes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
  return _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)), _mm256_load_ps(own));
}

/** Scales and minima of half `half` of the tile; the minima are meaningless where there are none. */
template <bool kAsymmetric, bool kTwoLevel>
static inline __attribute__((always_inline)) HalfScales halfScales(const uint8_t* header, int half,
                                                                   const OwnScales& own) {
  constexpr int bytes = scaleBytes(kTwoLevel);
  const uint8_t* p = header + half * bytes / 2;
  const __m256 scale = halfNumbers<kTwoLevel>(p, own.numbers + 8 * half);
  if (!kAsymmetric) return {scale, scale};
  return {scale, halfNumbers<kTwoLevel>(p + bytes, own.numbers + kTileRows + 8 * half)};
}

/** A chunk's numbers of one row of activations, in all lanes. */
struct RowScale {
  __m256 scale;
  /** The levels' sum; symmetric: times 2^(bits-1), what codes are more than signed levels. */
  __m256i sum;
};

template <int kBits, bool kAsymmetric>
static inline __attribute__((always_inline)) RowScale rowScale(float scale, int32_t sum) {
  const __m256i all = _mm256_set1_epi32(sum);
  return {_mm256_set1_ps(scale), kAsymmetric ? all : _mm256_slli_epi32(all, kBits - 1)};
}

/** acc takes in the exact sums of codes of one chunk. */
template <bool kAsymmetric>
static inline __attribute__((always_inline)) __m256 addScaledSums(__m256i dots, HalfScales w, RowScale x, __m256 acc) {
  const __m256i sums = kAsymmetric ? dots : _mm256_sub_epi32(dots, x.sum);
  acc = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), _mm256_mul_ps(w.scale, x.scale), acc);
  if (!kAsymmetric) return acc;
  return _mm256_fmadd_ps(w.minimum, _mm256_mul_ps(x.scale, _mm256_cvtepi32_ps(x.sum)), acc);
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

#include "integer-product-avx2-row.inc.h"
#include "integer-product-avx2-rows.inc.h"

template <class F>
static void productOf(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                      float* y, int64_t ldy) {
  if (rows == 1) return productOfRow<F>(w, tileFrom, tileTo, x, y);
  using Rows = Form<F::kStoredBits, F::kAsymmetric, F::kTable, false, F::kSparse>;
  if (rows <= kFewRows) return productOfFewRows<Rows>(w, tileFrom, tileTo, x, rows, y, ldy);
  productOfManyRows<Rows>(w, tileFrom, tileTo, x, rows, y, ldy);
}

#include "integer-product-forms.inc.h"
