// Sixteen floats as two 256-bit registers: AVX2 with FMA and F16C. The names and what they mean: simd-scalar.h.
#pragma once
#include <immintrin.h>

#include <cstdint>
#include <cstring>

#define LAYERWISE_SIMD avx2

#include "spread-tables.h"
#include "unroll.h"

namespace layerwise {
namespace avx2 {

/** lo: lanes 0 … 7, hi: lanes 8 … 15. */
struct F32x16 {
  __m256 lo, hi;
};

/** Numbers of the lanes of lo; hi's are 8 more. */
static inline __m256i laneNumbers() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }

/** All ones in lanes below n - first. */
static inline __m256i lanesBelow(int n, int first) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(n - first), laneNumbers());
}

static inline F32x16 broadcast(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }

static inline F32x16 load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }

static inline void store(float* p, F32x16 x) {
  _mm256_storeu_ps(p, x.lo);
  _mm256_storeu_ps(p + 8, x.hi);
}

static inline F32x16 loadPart(const float* p, int n) {
  return {_mm256_maskload_ps(p, lanesBelow(n, 0)), _mm256_maskload_ps(p + 8, lanesBelow(n, 8))};
}

static inline void storePart(float* p, F32x16 x, int n) {
  _mm256_maskstore_ps(p, lanesBelow(n, 0), x.lo);
  _mm256_maskstore_ps(p + 8, lanesBelow(n, 8), x.hi);
}

static inline F32x16 add(F32x16 a, F32x16 b) { return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)}; }
static inline F32x16 sub(F32x16 a, F32x16 b) { return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)}; }
static inline F32x16 mul(F32x16 a, F32x16 b) { return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)}; }
static inline F32x16 div(F32x16 a, F32x16 b) { return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)}; }

static inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}

static inline F32x16 max(F32x16 a, F32x16 b) { return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)}; }
static inline F32x16 min(F32x16 a, F32x16 b) { return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)}; }

static inline F32x16 absolute(F32x16 a) {
  const __m256 sign = _mm256_set1_ps(-0.0f);
  return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}

static inline F32x16 selectLess(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  return {_mm256_blendv_ps(y.lo, x.lo, _mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ)),
          _mm256_blendv_ps(y.hi, x.hi, _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ))};
}

static inline F32x16 selectLanes(int from, int to, F32x16 x, F32x16 y) {
  const __m256i low = laneNumbers(), high = _mm256_add_epi32(low, _mm256_set1_epi32(8));
  const __m256i first = _mm256_set1_epi32(from), last = _mm256_set1_epi32(to);
  const __m256i lo = _mm256_andnot_si256(_mm256_cmpgt_epi32(first, low), _mm256_cmpgt_epi32(last, low));
  const __m256i hi = _mm256_andnot_si256(_mm256_cmpgt_epi32(first, high), _mm256_cmpgt_epi32(last, high));
  return {_mm256_blendv_ps(y.lo, x.lo, _mm256_castsi256_ps(lo)), _mm256_blendv_ps(y.hi, x.hi, _mm256_castsi256_ps(hi))};
}

static inline F32x16 roundNearest(F32x16 a) {
  constexpr int mode = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
  return {_mm256_round_ps(a.lo, mode), _mm256_round_ps(a.hi, mode)};
}

static inline __m256 powerOfTwo(__m256 n) {
  const __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
  return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
}

static inline F32x16 powerOfTwo(F32x16 n) { return {powerOfTwo(n.lo), powerOfTwo(n.hi)}; }

static inline float sumOf(F32x16 a) {
  const __m256 eight = _mm256_add_ps(a.lo, a.hi);
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

static inline float maxOf(F32x16 a) {
  const __m256 eight = _mm256_max_ps(a.lo, a.hi);
  const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
  const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

static inline __m128i load128(const void* p) { return _mm_loadu_si128(static_cast<const __m128i*>(p)); }
static inline __m256i load256(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

static inline F32x16 fromF16(const uint16_t* p) {
  return {_mm256_cvtph_ps(load128(p)), _mm256_cvtph_ps(load128(p + 8))};
}

static inline void toF16(uint16_t* p, F32x16 x) {
  const __m128i lo = _mm256_cvtps_ph(x.lo, _MM_FROUND_TO_NEAREST_INT);
  const __m128i hi = _mm256_cvtps_ph(x.hi, _MM_FROUND_TO_NEAREST_INT);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_set_m128i(hi, lo));
}

static inline F32x16 fromBf16(const uint16_t* p) {
  return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p)), 16)),
          _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load128(p + 8)), 16))};
}

static inline F32x16 fromI8(const int8_t* p) {
  const __m128i bytes = load128(p);
  return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}

static inline F32x16 fromU8(const uint8_t* p) {
  const __m128i bytes = load128(p);
  return {_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes)),
          _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(bytes, bytes)))};
}

static inline void toI8(int8_t* p, F32x16 x) {
  // Packing works in 128-bit halves: their quarters are put in order in between.
  const __m256i words = _mm256_packs_epi32(_mm256_cvtps_epi32(x.lo), _mm256_cvtps_epi32(x.hi));
  const __m256i ordered = _mm256_permute4x64_epi64(words, _MM_SHUFFLE(3, 1, 2, 0));
  const __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), bytes);
}

struct U32x16 {
  __m256i lo, hi;
};

static inline U32x16 loadWords(const uint8_t* p) { return {load256(p), load256(p + 32)}; }
static inline U32x16 shiftRight(U32x16 a, int bits) {
  return {_mm256_srli_epi32(a.lo, bits), _mm256_srli_epi32(a.hi, bits)};
}
static inline U32x16 shiftLeft(U32x16 a, int bits) {
  return {_mm256_slli_epi32(a.lo, bits), _mm256_slli_epi32(a.hi, bits)};
}

static inline U32x16 bitAnd(U32x16 a, uint32_t mask) {
  const __m256i bits = _mm256_set1_epi32(static_cast<int>(mask));
  return {_mm256_and_si256(a.lo, bits), _mm256_and_si256(a.hi, bits)};
}

static inline U32x16 bitOr(U32x16 a, U32x16 b) { return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)}; }

static inline U32x16 bitXor(U32x16 a, uint32_t mask) {
  const __m256i bits = _mm256_set1_epi32(static_cast<int>(mask));
  return {_mm256_xor_si256(a.lo, bits), _mm256_xor_si256(a.hi, bits)};
}

/** Sixteen numbers of a table in both halves. */
static inline __m256i sixteenOf(const int8_t* table) { return _mm256_broadcastsi128_si256(load128(table)); }

/** Each byte's number of 16, or of 32 in two sixteens: bit 4 chooses between them. */
static inline __m256i lookUp(__m256i codes, __m256i table) { return _mm256_shuffle_epi8(table, codes); }
static inline __m256i lookUp(__m256i codes, __m256i low, __m256i high) {
  return _mm256_blendv_epi8(lookUp(codes, low), lookUp(codes, high), _mm256_slli_epi16(codes, 3));
}

static inline U32x16 lookUp16(U32x16 a, const int8_t* table) {
  const __m256i numbers = sixteenOf(table);
  return {lookUp(a.lo, numbers), lookUp(a.hi, numbers)};
}

static inline U32x16 lookUp32(U32x16 a, const int8_t* table) {
  const __m256i low = sixteenOf(table), high = sixteenOf(table + 16);
  return {lookUp(a.lo, low, high), lookUp(a.hi, low, high)};
}

static inline F32x16 toFloats(U32x16 a) { return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)}; }

#include "spread-bytes-x64.inc.h"

}  // namespace avx2
}  // namespace layerwise
