// One row of activations: codes go from memory to the multiplier. Included by integer-product-avx2.inc.h.

/** Dot products of half a tile's codes, of at most 6 bits in planes of kBits, with 32 activations. */
template <int kBits, int kLevelBits>
static inline __attribute__((always_inline)) __m256i dotCodes(const uint8_t* p, const int8_t* x) {
  constexpr int safe = safeQuads(mostCode(kLevelBits));
  __m256i total = _mm256_setzero_si256();
  LAYERWISE_UNROLL
  for (int from = 0; from < 8; from += safe) {
    __m256i sums = _mm256_maddubs_epi16(halfCodes<kBits>(p, from), fourOf(x + 4 * from));
    LAYERWISE_UNROLL
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
  LAYERWISE_UNROLL
  for (int q = 0; q < 8; q++) {
    const __m256i w = _mm256_xor_si256(loadVector(p + 64 * q), _mm256_set1_epi8(static_cast<char>(0x80)));
    const __m256i sums = _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(fourOf(x + 4 * q), w));
    total = _mm256_add_epi32(total, pairSums(sums));
  }
  return total;
}

/**
 * The same for the levels of a table, which are never -128: |x|, made once a chunk, times w with x's sign: one step
 * less. (Twice 4 bits, as several rows take them, are a fifth slower here.)
 */
template <int kBits>
static inline __attribute__((always_inline)) __m256i dotTable(const uint8_t* p, const int8_t* x,
                                                              const int8_t* magnitudes) {
  __m256i total = _mm256_setzero_si256();
  LAYERWISE_UNROLL
  for (int i = 0; i < 8; i++) {
    const int q = quadAt<kBits>(i);
    const __m256i w = halfLevels<kBits>(p, q, levelTable(kBits));
    const __m256i sums = _mm256_maddubs_epi16(fourOf(magnitudes + 4 * q), _mm256_sign_epi8(w, fourOf(x + 4 * q)));
    total = _mm256_add_epi32(total, pairSums(sums));
  }
  return total;
}

/** A chunk's activations, and their magnitudes where the levels are a table's. */
template <class F>
struct RowLevels {
  const int8_t* x;
  int32_t sum;
  alignas(32) int8_t magnitudes[kChunkCols];

  __attribute__((always_inline)) RowLevels(const int8_t* x, int32_t sum) : x(x), sum(sum) {
    if (F::kTable) _mm256_store_si256(reinterpret_cast<__m256i*>(magnitudes), _mm256_abs_epi8(load256(x)));
  }

  /** Dot products with half a tile's codes: those of a table are levels plus 128. */
  __attribute__((always_inline)) __m256i dotHalf(const uint8_t* p) const {
    if constexpr (F::kLevelBits < 8) return dotCodes<F::kBits, F::kLevelBits>(p, x);
    const __m256i middle = _mm256_slli_epi32(_mm256_set1_epi32(sum), 7);
    if constexpr (F::kTable) return _mm256_add_epi32(dotTable<F::kBits>(p, x, magnitudes), middle);
    return _mm256_add_epi32(dotSigned(p, x), middle);
  }
};

/** Tiles `tile`, `tile` + apart, … : one of each stream. Their sums do not meet. */
template <class F, int kStreams>
static inline __attribute__((always_inline)) void addTiles(const PackedMatrix& w, int32_t tile, int32_t apart,
                                                           const QuantizedRows& x, float* y) {
  const int64_t bytesApart = apart * w.tileStride;
  const int32_t chunkBytes = chunkBytesOf<F>(w);
  ChunkRoom<F::kSparse> rooms[kStreams];
  TileStream at = TileStream::of(w, tile);
  OwnScales own[kStreams];
  __m256 sums[kStreams][2];
  LAYERWISE_UNROLL
  for (int s = 0; s < kStreams; s++) {
    if (F::kTwoLevel) readOwnScales(w, tile + s * apart, &own[s]);
    sums[s][0] = sums[s][1] = _mm256_setzero_ps();
  }
  const int8_t* levels = x.levels;
  for (int32_t c = 0, i = 0; c < w.chunks; c++, i += x.stride, levels += static_cast<int64_t>(x.stride) * kChunkCols) {
    const RowLevels<F> activations(levels, x.sums[i]);
    const RowScale row = rowScale<F::kLevelBits, F::kAsymmetric>(x.scales[i], x.sums[i]);
    LAYERWISE_UNROLL
    for (int s = 0; s < kStreams; s++) {
      const TileStream one = at.moved(s * bytesApart);
      one.prefetch(chunkBytes);
      const uint8_t* planes = planesOf<F>(w, one.levels, c, &rooms[s]);
      LAYERWISE_UNROLL
      for (int half = 0; half < 2; half++) {
        const HalfScales scales = halfScales<F::kAsymmetric, F::kTwoLevel>(one.header, half, own[s]);
        sums[s][half] =
            addScaledSums<F::kAsymmetric>(activations.dotHalf(planes + 32 * half), scales, row, sums[s][half]);
      }
    }
    at = at.next(chunkBytes, F::kHeader, w.chunksPerGroup);
  }
  LAYERWISE_UNROLL
  for (int s = 0; s < kStreams; s++) {
    const int32_t first = (tile + s * apart) * kTileRows;
    writeHalf(y, first, w.rows, sums[s][0]);
    writeHalf(y, first + 8, w.rows, sums[s][1]);
  }
}

/** Streams that memory is read in at once: one core's prefetchers follow several, and reach a third more with four. */
static constexpr int kStreams = 4;

template <class F>
static void productOfRow(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, float* y) {
  const int32_t apart = (tileTo - tileFrom) / kStreams;
  for (int32_t i = 0; i < apart; i++) addTiles<F, kStreams>(w, tileFrom + i, apart, x, y);
  for (int32_t tile = tileFrom + kStreams * apart; tile < tileTo; tile++) addTiles<F, 1>(w, tile, 0, x, y);
}
