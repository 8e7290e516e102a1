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

/** Tiles `tile`, `tile` + apart, … : one of each stream. Their sums do not meet. */
template <int kBits, bool kAsymmetric, int kStreams>
static inline __attribute__((always_inline)) void addTiles(const PackedMatrix& w, int32_t tile, int32_t apart,
                                                           const QuantizedRows& x, float* y) {
  const int64_t bytesApart = apart * w.tileStride;
  TileStream at(w, tile);
  __m256 sums[kStreams][2];
#pragma GCC unroll 4
  for (int s = 0; s < kStreams; s++) sums[s][0] = sums[s][1] = _mm256_setzero_ps();
  const int8_t* levels = x.levels;
  for (int32_t c = 0, i = 0; c < w.chunks; c++, i += x.stride, levels += static_cast<int64_t>(x.stride) * kChunkCols) {
    const RowScale row = {x.scales[i], x.sums[i]};
#pragma GCC unroll 4
    for (int s = 0; s < kStreams; s++) {
      const TileStream one = at.moved(s * bytesApart);
      one.prefetch<kBits>();
      const __m256i a = dotHalf<kBits>(one.levels, levels, row.sum), b = dotHalf<kBits>(one.levels + 32, levels, row.sum);
      sums[s][0] = addScaledSums<kBits, kAsymmetric>(a, halfScales<kAsymmetric>(one.header), row, sums[s][0]);
      sums[s][1] = addScaledSums<kBits, kAsymmetric>(b, halfScales<kAsymmetric>(one.header + 16), row, sums[s][1]);
    }
    at.next<kBits, kAsymmetric>(w.chunksPerGroup);
  }
#pragma GCC unroll 4
  for (int s = 0; s < kStreams; s++) {
    const int32_t first = (tile + s * apart) * kTileRows;
    writeHalf(y, first, w.rows, sums[s][0]);
    writeHalf(y, first + 8, w.rows, sums[s][1]);
  }
}

/** Streams that memory is read in at once: one core's prefetchers follow several, and reach a third more with four. */
static constexpr int kStreams = 4;

template <int kBits, bool kAsymmetric>
static void productOfRow(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, float* y) {
  const int32_t apart = (tileTo - tileFrom) / kStreams;
  for (int32_t i = 0; i < apart; i++) addTiles<kBits, kAsymmetric, kStreams>(w, tileFrom + i, apart, x, y);
  for (int32_t tile = tileFrom + kStreams * apart; tile < tileTo; tile++) addTiles<kBits, kAsymmetric, 1>(w, tile, 0, x, y);
}
