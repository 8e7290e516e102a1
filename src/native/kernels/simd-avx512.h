// Sixteen floats as one 512-bit register: AVX-512 F, BW, VL, DQ. The names and what they mean: simd-scalar.h. The
// including table defines LAYERWISE_SIMD, so that tables with more instructions have namespaces of their own, and
// LAYERWISE_VBMI2: 1 where its processors have VBMI2.
#pragma once
#if defined(__GNUC__) && !defined(__clang__)
// GCC 12 warns of the undefined registers that its own intrinsics begin with (GCC bug 105593), wherever they are
// inlined.
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "spread-tables.h"
#include "unroll.h"

namespace layerwise {
namespace LAYERWISE_SIMD {

struct F32x16 {
  __m512 v;
};

/** Ones for the lanes below n <= 16. */
static inline __mmask16 lanesBelow(int n) { return static_cast<__mmask16>((1u << n) - 1u); }

static inline F32x16 broadcast(float x) { return {_mm512_set1_ps(x)}; }
static inline F32x16 load(const float* p) { return {_mm512_loadu_ps(p)}; }
static inline void store(float* p, F32x16 x) { _mm512_storeu_ps(p, x.v); }
static inline F32x16 loadPart(const float* p, int n) { return {_mm512_maskz_loadu_ps(lanesBelow(n), p)}; }
static inline void storePart(float* p, F32x16 x, int n) { _mm512_mask_storeu_ps(p, lanesBelow(n), x.v); }

static inline F32x16 add(F32x16 a, F32x16 b) { return {_mm512_add_ps(a.v, b.v)}; }
static inline F32x16 sub(F32x16 a, F32x16 b) { return {_mm512_sub_ps(a.v, b.v)}; }
static inline F32x16 mul(F32x16 a, F32x16 b) { return {_mm512_mul_ps(a.v, b.v)}; }
static inline F32x16 div(F32x16 a, F32x16 b) { return {_mm512_div_ps(a.v, b.v)}; }
static inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
static inline F32x16 max(F32x16 a, F32x16 b) { return {_mm512_max_ps(a.v, b.v)}; }
static inline F32x16 min(F32x16 a, F32x16 b) { return {_mm512_min_ps(a.v, b.v)}; }
static inline F32x16 absolute(F32x16 a) { return {_mm512_abs_ps(a.v)}; }

static inline F32x16 selectLess(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}

static inline F32x16 selectLanes(int from, int to, F32x16 x, F32x16 y) {
  const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  const __mmask16 before = _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(from), lanes);
  const __mmask16 below = _mm512_cmpgt_epi32_mask(_mm512_set1_epi32(to), lanes);
  return {_mm512_mask_blend_ps(static_cast<__mmask16>(below & ~before), y.v, x.v)};
}

static inline F32x16 roundNearest(F32x16 a) {
  return {_mm512_roundscale_ps(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
}

static inline F32x16 powerOfTwo(F32x16 n) {
  const __m512i exponent = _mm512_add_epi32(_mm512_cvtps_epi32(n.v), _mm512_set1_epi32(127));
  return {_mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23))};
}

static inline __m256 lowHalf(__m512 a) { return _mm512_castps512_ps256(a); }
static inline __m256 highHalf(__m512 a) { return _mm256_castpd_ps(_mm512_extractf64x4_pd(_mm512_castps_pd(a), 1)); }

static inline float sumOf(F32x16 a) {
  const __m256 eight = _mm256_add_ps(lowHalf(a.v), highHalf(a.v));
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float maxOf(F32x16 a) {
  const __m256 eight = _mm256_max_ps(lowHalf(a.v), highHalf(a.v));
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
static inline __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

static inline F32x16 fromF16(const uint16_t* p) { return {_mm512_cvtph_ps(load256(p))}; }

static inline void toF16(uint16_t* p, F32x16 x) {
  const __m256i halves = _mm512_cvtps_ph(x.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves);
}

static inline F32x16 fromBf16(const uint16_t* p) {
  return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(load256(p)), 16))};
}

static inline F32x16 fromI8(const int8_t* p) { return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load128(p)))}; }
static inline F32x16 fromU8(const uint8_t* p) { return {_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(load128(p)))}; }

static inline void toI8(int8_t* p, F32x16 x) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x.v)));
}

struct U32x16 {
  __m512i v;
};

static inline U32x16 loadWords(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
static inline U32x16 shiftRight(U32x16 a, int bits) { return {_mm512_srli_epi32(a.v, static_cast<unsigned>(bits))}; }
static inline U32x16 shiftLeft(U32x16 a, int bits) { return {_mm512_slli_epi32(a.v, static_cast<unsigned>(bits))}; }

static inline U32x16 bitAnd(U32x16 a, uint32_t mask) {
  return {_mm512_and_si512(a.v, _mm512_set1_epi32(static_cast<int>(mask)))};
}

static inline U32x16 bitOr(U32x16 a, U32x16 b) { return {_mm512_or_si512(a.v, b.v)}; }

static inline U32x16 bitXor(U32x16 a, uint32_t mask) {
  return {_mm512_xor_si512(a.v, _mm512_set1_epi32(static_cast<int>(mask)))};
}

static inline U32x16 lookUp16(U32x16 a, const int8_t* table) {
  return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(load128(table)), a.v)};
}

/** Two sixteens, each with a place of no meaning, which gives 0, for the codes of the other: its highest bit is set. */
static inline U32x16 lookUp32(U32x16 a, const int8_t* table) {
  const __m512i low = _mm512_broadcast_i32x4(load128(table)), high = _mm512_broadcast_i32x4(load128(table + 16));
  const __m512i lowPlaces = _mm512_add_epi8(a.v, _mm512_set1_epi8(0x70)),
                highPlaces = _mm512_sub_epi8(a.v, _mm512_set1_epi8(16));
  return {_mm512_or_si512(_mm512_shuffle_epi8(low, lowPlaces), _mm512_shuffle_epi8(high, highPlaces))};
}

static inline F32x16 toFloats(U32x16 a) { return {_mm512_cvtepi32_ps(a.v)}; }

#if LAYERWISE_VBMI2

static inline void spreadBytes(const uint8_t* from, uint64_t mask, int fill, uint8_t* out) {
  const __m512i rest = _mm512_set1_epi8(static_cast<char>(fill));
  _mm512_storeu_si512(out, _mm512_mask_expand_epi8(rest, mask, _mm512_loadu_si512(from)));
}

#else
#include "spread-bytes-x64.inc.h"
#endif

}  // namespace LAYERWISE_SIMD
}  // namespace layerwise
