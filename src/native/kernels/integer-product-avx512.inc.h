// The integer product for AVX-512: a tile's vector of levels is one register. Included by device-kernels.inc.h inside
// the table's namespace; LAYERWISE_VNNI is 1 where the table's processors have VNNI.

struct Lanes {
  using Bytes = __m512i;
  static Bytes words(int32_t word) { return _mm512_set1_epi32(word); }
  static constexpr int kProductsOfQuad = 2;
  static constexpr int kPrefetch = 2048;
};

#include "integer-lanes.inc.h"

/** Codes of the eight quads of a chunk. */
struct ChunkCodes {
  __m512i quad[8];
};

template <class F>
static inline ChunkCodes chunkCodes(const uint8_t* p) {
  ChunkCodes out;
  LAYERWISE_UNROLL
  for (int q = 0; q < 8; q++) out.quad[q] = levelCodes<F::kBits, F::kTable>(p, q).v;
  return out;
}

#if LAYERWISE_VNNI

// vpdpbusd adds four products of a code and a signed activation in 32 bits, without saturation.
template <int kBits>
static inline F32x16 codeSums(const ChunkCodes& codes, const int8_t* x, int32_t start) {
  __m512i sums = _mm512_set1_epi32(start);
  LAYERWISE_UNROLL
  for (int q = 0; q < 8; q++) sums = _mm512_dpbusd_epi32(sums, codes.quad[q], fourOf(x + 4 * q));
  return {_mm512_cvtepi32_ps(sums)};
}

#else

/** Pairs of 16-bit sums, added in 32 bits. */
static inline __m512i addPairs(__m512i total, __m512i sums) {
  return _mm512_add_epi32(total, _mm512_madd_epi16(sums, _mm512_set1_epi16(1)));
}

template <int kBits>
static inline F32x16 codeSums(const ChunkCodes& codes, const int8_t* x, int32_t start) {
  __m512i total = _mm512_set1_epi32(start);
  if (kBits == 8) {
    // One product of a pair at a time: 255 * 127 fits 16 bits, two of them do not.
    const __m512i even = _mm512_set1_epi16(0x00ff);
    LAYERWISE_UNROLL
    for (int q = 0; q < 8; q++) {
      const __m512i code = codes.quad[q], four = fourOf(x + 4 * q);
      total = addPairs(total, _mm512_maddubs_epi16(_mm512_and_si512(code, even), four));
      total = addPairs(total, _mm512_maddubs_epi16(_mm512_andnot_si512(even, code), four));
    }
    return {_mm512_cvtepi32_ps(total)};
  }
  constexpr int safe = safeQuads(mostCode(kBits));
  LAYERWISE_UNROLL
  for (int from = 0; from < 8; from += safe) {
    __m512i sums = _mm512_maddubs_epi16(codes.quad[from], fourOf(x + 4 * from));
    LAYERWISE_UNROLL
    for (int q = from + 1; q < from + safe; q++) {
      sums = _mm512_add_epi16(sums, _mm512_maddubs_epi16(codes.quad[q], fourOf(x + 4 * q)));
    }
    total = addPairs(total, sums);
  }
  return {_mm512_cvtepi32_ps(total)};
}

#endif

#include "integer-product-tiles.inc.h"
