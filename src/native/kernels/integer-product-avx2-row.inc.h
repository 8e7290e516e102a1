// One row of activations: codes go from memory to the multiplier. Included by integer-product-avx2.inc.h.

/** Dot products of half a tile's codes, of at most 6 bits, with 32 activations. */
template <int kBits>
static inline __attribute__((always_inline)) __m256i dotCodes(const uint8_t* p, const int8_t* x) {
  constexpr int safe = safeSums(kBits);
  __m256i total = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int from = 0; from < 8; from += safe) {
    __m256i sums = _mm256_maddubs_epi16(halfCodes<kBits>(p, from), fourOf(x + 4 * from));
#pragma GCC unroll 8
    for (int q = from + 1; q < from + safe; q++) {
      sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(halfCodes<kBits>(p, q), fourOf(x + 4 * q)));
    }
    total = from == 0 ? pairSums(sums) : _mm256_add_epi32(total, pairSums(sums));
  }
  return total;
}

/** The same for 8 bits, of levels made signed: |w| times x with w's sign; |-128| is 128 as a byte without sign. */
static inline __attribute__((always_inline)) __m256i dotSigned(const uint8_t* p, const int8_t* x) {
  __m256i total = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int q = 0; q < 8; q++) {
    const __m256i w = _mm256_xor_si256(loadVector(p + 64 * q), _mm256_set1_epi8(static_cast<char>(0x80)));
    const __m256i sums = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(fourOf(x + 4 * q), w));
    total = _mm256_add_epi32(total, pairSums(sums));
  }
  return total;
}

/** Dot products of codes, whatever the bits. */
template <int kBits>
static inline __attribute__((always_inline)) __m256i dotHalf(const uint8_t* p, const int8_t* x, int32_t xsum) {
  if constexpr (kBits < 8) return dotCodes<kBits>(p, x);
  return _mm256_add_epi32(dotSigned(p, x), _mm256_slli_epi32(_mm256_set1_epi32(xsum), 7));
}

template <int kBits, bool kAsymmetric>
static void productOfRow(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, float* y) {
  for (int32_t tile = tileFrom; tile < tileTo; tile++) {
    TileStream at(w, tile);
    __m256 low = _mm256_setzero_ps(), high = low;
    const int8_t* levels = x.levels;
    for (int32_t c = 0, i = 0; c < w.chunks; c++, i += x.stride, levels += static_cast<int64_t>(x.stride) * kChunkCols) {
      at.prefetch<kBits>();
      const RowScale row = {x.scales[i], x.sums[i]};
      const __m256i a = dotHalf<kBits>(at.levels, levels, row.sum), b = dotHalf<kBits>(at.levels + 32, levels, row.sum);
      low = addScaledSums<kBits, kAsymmetric>(a, halfScales<kAsymmetric>(at.header), row, low);
      high = addScaledSums<kBits, kAsymmetric>(b, halfScales<kAsymmetric>(at.header + 16), row, high);
      at.next<kBits, kAsymmetric>(w.chunksPerGroup);
    }
    writeHalf(y, tile * kTileRows, w.rows, low);
    writeHalf(y, tile * kTileRows + 8, w.rows, high);
  }
}
