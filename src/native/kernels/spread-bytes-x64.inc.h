// spreadBytes by shuffles of eight bytes, for x64 without an instruction for it. Included by simd-avx2.h and
// simd-avx512.h in their namespaces.

static constexpr SpreadTable kSpreadTable;

static inline __m128i twoOfEight(const uint8_t* low, const uint8_t* high) {
  const __m128i half = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(low));
  return _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(half), reinterpret_cast<const __m64*>(high)));
}

static inline void spreadBytes(const uint8_t* from, uint64_t mask, int fill, uint8_t* out) {
  const __m128i rest = _mm_set1_epi8(static_cast<char>(fill));
  const __m128i upper = _mm_set_epi64x(0x0808080808080808, 0);
  const uint64_t before = bitsUpToByte(mask) << 8;
  LAYERWISE_UNROLL
  for (int i = 0; i < 8; i += 2) {
    const __m128i bytes = twoOfEight(from + (before >> (8 * i) & 255), from + (before >> (8 * i + 8) & 255));
    const __m128i places = twoOfEight(kSpreadTable.places[mask >> (8 * i) & 255],
                                      kSpreadTable.places[mask >> (8 * i + 8) & 255]);
    const __m128i found = _mm_shuffle_epi8(bytes, _mm_or_si128(places, upper));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 8 * i), _mm_blendv_epi8(found, rest, places));
  }
}
