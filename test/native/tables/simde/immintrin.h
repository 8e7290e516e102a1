// AVX-512 in plain code, for machines without it: stands in for the compiler's <immintrin.h> when a table is compiled
// for the test. SIMDe supplies most instructions; those that its version 0.7.4 lacks, or does not round as the
// processor does, are written out here.
#pragma once
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#ifndef _MM_FROUND_NO_EXC
#define _MM_FROUND_NO_EXC SIMDE_MM_FROUND_NO_EXC
#endif
#ifndef _MM_FROUND_TO_NEAREST_INT
#define _MM_FROUND_TO_NEAREST_INT SIMDE_MM_FROUND_TO_NEAREST_INT
#endif
typedef simde__mmask16 __mmask16;

namespace emulated {

/** A register as an array. */
template <class Element, int kCount>
struct Lanes {
  Element of[kCount];
};

template <class Element, int kCount, class Register>
inline Lanes<Element, kCount> lanes(const Register& x) {
  static_assert(sizeof(Element) * kCount == sizeof(Register), "the whole register");
  Lanes<Element, kCount> out;
  memcpy(&out, &x, sizeof out);
  return out;
}

template <class Register, class Element, int kCount>
inline Register registerOf(const Lanes<Element, kCount>& x) {
  static_assert(sizeof x == sizeof(Register), "the whole register");
  Register out;
  memcpy(&out, &x, sizeof out);
  return out;
}

template <class To, class ToRegister, class From, int kCount, class FromRegister, class Convert>
inline ToRegister convert(const FromRegister& x, Convert one) {
  const Lanes<From, kCount> in = lanes<From, kCount>(x);
  Lanes<To, kCount> out;
  for (int i = 0; i < kCount; i++) out.of[i] = one(in.of[i]);
  return registerOf<ToRegister>(out);
}

inline float halfToFloat(uint16_t half) {
  const float sign = half & 0x8000u ? -1.0f : 1.0f;
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
}

/** By the distance to the halves around it rather than by bits; the NaN that every table gives for a plain one. */
inline uint16_t floatToHalf(float x) {
  const uint16_t sign = std::signbit(x) ? 0x8000u : 0u;
  if (std::isnan(x)) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return static_cast<uint16_t>(sign | 0x7e00u | (bits >> 13 & 0x1ffu));
  }
  const double magnitude = std::fabs(x);
  if (magnitude >= 65520.0) return static_cast<uint16_t>(sign | 0x7c00u);
  const int exponent = magnitude < 0x1p-14 ? -14 : std::ilogb(magnitude);
  const long steps = std::lrint(std::ldexp(magnitude, 10 - exponent));
  // 2^10 steps or more carry into the exponent by themselves.
  return static_cast<uint16_t>(sign | (((exponent + 14) << 10) + steps));
}

inline __m512 fmadd(const __m512& a, const __m512& b, const __m512& c) {
  const Lanes<float, 16> x = lanes<float, 16>(a), y = lanes<float, 16>(b);
  Lanes<float, 16> z = lanes<float, 16>(c);
  for (int i = 0; i < 16; i++) z.of[i] = std::fma(x.of[i], y.of[i], z.of[i]);
  return registerOf<__m512>(z);
}

inline __m512 absolute(const __m512& x) {
  return convert<float, __m512, float, 16>(x, [](float f) { return std::fabs(f); });
}

inline __m512 maskzLoad(__mmask16 mask, const float* p) {
  Lanes<float, 16> out = {};
  for (int i = 0; i < 16; i++) {
    if (mask >> i & 1) out.of[i] = p[i];
  }
  return registerOf<__m512>(out);
}

inline void maskStore(float* p, __mmask16 mask, const __m512& x) {
  const Lanes<float, 16> in = lanes<float, 16>(x);
  for (int i = 0; i < 16; i++) {
    if (mask >> i & 1) p[i] = in.of[i];
  }
}

inline __m512i maskExpand(const __m512i& rest, uint64_t mask, const __m512i& x) {
  Lanes<uint8_t, 64> out = lanes<uint8_t, 64>(rest);
  const Lanes<uint8_t, 64> in = lanes<uint8_t, 64>(x);
  for (int i = 0, next = 0; i < 64; i++) {
    if (mask >> i & 1) out.of[i] = in.of[next++];
  }
  return registerOf<__m512i>(out);
}

inline __m512 fromHalves(const __m256i& x) { return convert<float, __m512, uint16_t, 16>(x, halfToFloat); }
inline __m256i toHalves(const __m512& x) { return convert<uint16_t, __m256i, float, 16>(x, floatToHalf); }
inline __m512 toFloats(const __m512i& x) {
  return convert<float, __m512, int32_t, 16>(x, [](int32_t n) { return static_cast<float>(n); });
}
inline __m512i toWhole(const __m512& x) {
  return convert<int32_t, __m512i, float, 16>(x, [](float f) {
    return std::fabs(f) < 0x1p31f ? static_cast<int32_t>(std::nearbyint(f)) : INT32_MIN;
  });
}
inline __m128i toBytes(const __m512i& x) {
  return convert<int8_t, __m128i, int32_t, 16>(x, [](int32_t n) { return static_cast<int8_t>(n); });
}
template <class Element, class Register>
inline __m512i widen(const Register& x) {
  return convert<int32_t, __m512i, Element, 16>(x, [](Element n) { return static_cast<int32_t>(n); });
}

}  // namespace emulated

// SIMDe's alias has the arguments of its masked form.
#undef _mm512_madd_epi16
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)
// SIMDe leaves the sign of a zero.
#undef _mm512_abs_ps
#define _mm512_abs_ps(x) emulated::absolute(x)
// Not fused in SIMDe where the processor has no FMA.
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps(a, b, c) emulated::fmadd(a, b, c)
#undef _mm512_mask_expand_epi8
#define _mm512_mask_expand_epi8(rest, mask, x) emulated::maskExpand(rest, mask, x)
#define _mm512_maskz_loadu_ps(mask, p) emulated::maskzLoad(mask, p)
#define _mm512_mask_storeu_ps(p, mask, x) emulated::maskStore(p, mask, x)
#define _mm512_cvtph_ps(x) emulated::fromHalves(x)
#define _mm512_cvtps_ph(x, rounding) emulated::toHalves(x)
#define _mm512_cvtepi32_ps(x) emulated::toFloats(x)
#define _mm512_cvtps_epi32(x) emulated::toWhole(x)
#define _mm512_cvtepi32_epi8(x) emulated::toBytes(x)
#define _mm512_cvtepi8_epi32(x) emulated::widen<int8_t>(x)
#define _mm512_cvtepu8_epi32(x) emulated::widen<uint8_t>(x)
#define _mm512_cvtepu16_epi32(x) emulated::widen<uint16_t>(x)
