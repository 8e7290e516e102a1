// Sixteen floats, one at a time: the plain table, and the definition of what every other simd-*.h does.
//
// A simd header defines these names in its own namespace (layerwise::scalar, layerwise::avx2, …); the bodies in *.inc.h
// use no others, so a kernel is written once. Kernel files use no templates of the standard library: the linker could
// pick a copy that was compiled for a newer processor.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#define LAYERWISE_SIMD scalar

namespace layerwise {
namespace scalar {

struct F32x16 {
  float v[16];
};

static inline F32x16 broadcast(float x) {
  F32x16 out;
  for (int i = 0; i < 16; i++) out.v[i] = x;
  return out;
}

static inline F32x16 load(const float* p) {
  F32x16 out;
  memcpy(out.v, p, sizeof out.v);
  return out;
}

static inline void store(float* p, F32x16 x) { memcpy(p, x.v, sizeof x.v); }

/** The first n < 16 numbers, the rest 0; reads no further. */
static inline F32x16 loadPart(const float* p, int n) {
  F32x16 out = broadcast(0);
  memcpy(out.v, p, static_cast<size_t>(n) * sizeof(float));
  return out;
}

static inline void storePart(float* p, F32x16 x, int n) { memcpy(p, x.v, static_cast<size_t>(n) * sizeof(float)); }

static inline F32x16 add(F32x16 a, F32x16 b) {
  for (int i = 0; i < 16; i++) a.v[i] += b.v[i];
  return a;
}

static inline F32x16 sub(F32x16 a, F32x16 b) {
  for (int i = 0; i < 16; i++) a.v[i] -= b.v[i];
  return a;
}

static inline F32x16 mul(F32x16 a, F32x16 b) {
  for (int i = 0; i < 16; i++) a.v[i] *= b.v[i];
  return a;
}

static inline F32x16 div(F32x16 a, F32x16 b) {
  for (int i = 0; i < 16; i++) a.v[i] /= b.v[i];
  return a;
}

/** a * b + c, rounded once. */
static inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  for (int i = 0; i < 16; i++) c.v[i] = std::fma(a.v[i], b.v[i], c.v[i]);
  return c;
}

/** a > b ? a : b, lane by lane: b where either is NaN, as x86 has it. */
static inline F32x16 max(F32x16 a, F32x16 b) {
  for (int i = 0; i < 16; i++) a.v[i] = a.v[i] > b.v[i] ? a.v[i] : b.v[i];
  return a;
}

/** a < b ? a : b */
static inline F32x16 min(F32x16 a, F32x16 b) {
  for (int i = 0; i < 16; i++) a.v[i] = a.v[i] < b.v[i] ? a.v[i] : b.v[i];
  return a;
}

static inline F32x16 absolute(F32x16 a) {
  for (int i = 0; i < 16; i++) a.v[i] = std::fabs(a.v[i]);
  return a;
}

/** a < b ? x : y, lane by lane. */
static inline F32x16 selectLess(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  for (int i = 0; i < 16; i++) x.v[i] = a.v[i] < b.v[i] ? x.v[i] : y.v[i];
  return x;
}

/** x in lanes [from, to), y in the others; any from and to. */
static inline F32x16 selectLanes(int from, int to, F32x16 x, F32x16 y) {
  for (int i = 0; i < 16; i++) x.v[i] = i >= from && i < to ? x.v[i] : y.v[i];
  return x;
}

/** To the nearest whole number, halves to even; for |x| < 2^31. */
static inline F32x16 roundNearest(F32x16 a) {
  for (int i = 0; i < 16; i++) a.v[i] = std::nearbyint(a.v[i]);
  return a;
}

/** 2^n for whole n in [-126, 127], by the exponent's bits. */
static inline F32x16 powerOfTwo(F32x16 n) {
  for (int i = 0; i < 16; i++) {
    // Unsigned: a NaN becomes some number here, and must not overflow on the way.
    const uint32_t bits = (static_cast<uint32_t>(static_cast<int32_t>(n.v[i])) + 127u) << 23;
    memcpy(&n.v[i], &bits, 4);
  }
  return n;
}

/** The lanes' sum in the order that every table keeps: i + (i+8), i + (i+4), i + (i+2), i + (i+1). */
static inline float sumOf(F32x16 a) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) a.v[i] += a.v[i + width];
  }
  return a.v[0];
}

static inline float maxOf(F32x16 a) {
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) a.v[i] = a.v[i] > a.v[i + width] ? a.v[i] : a.v[i + width];
  }
  return a.v[0];
}

/** A signalling NaN becomes quiet, as the processors' own conversions have it. */
static inline float halfToFloat(uint16_t h) {
  const uint32_t sign = static_cast<uint32_t>(h & 0x8000u) << 16;
  const uint32_t exponent = (h >> 10) & 31u;
  const uint32_t fraction = h & 1023u;
  float out;
  if (exponent == 0) {
    out = static_cast<float>(fraction) * 0x1p-24f;
    return sign ? -out : out;
  }
  const uint32_t quiet = exponent == 31 && fraction != 0 ? 0x400000u : 0u;
  const uint32_t bits = sign | (exponent == 31 ? 0x7f800000u : (exponent + 112) << 23) | quiet | (fraction << 13);
  memcpy(&out, &bits, 4);
  return out;
}

/** Round to nearest even; overflow to infinity; NaN stays NaN (quiet, payload's top bits). */
static inline uint16_t floatToHalf(float f) {
  uint32_t bits;
  memcpy(&bits, &f, 4);
  const uint16_t sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
  const uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return static_cast<uint16_t>(sign | 0x7e00u | ((magnitude >> 13) & 0x1ffu));
  if (magnitude >= 0x477ff000u) return static_cast<uint16_t>(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    float small;
    memcpy(&small, &magnitude, 4);
    // Adding 0.5 leaves the half's subnormal steps of 2^-24 in the last bits, rounded by the addition.
    small += 0.5f;
    uint32_t rounded;
    memcpy(&rounded, &small, 4);
    return static_cast<uint16_t>(sign | (rounded - 0x3f000000u));
  }
  const uint32_t odd = (magnitude >> 13) & 1u;
  return static_cast<uint16_t>(sign | ((magnitude - 0x38000000u + 0xfffu + odd) >> 13));
}

static inline F32x16 fromF16(const uint16_t* p) {
  F32x16 out;
  for (int i = 0; i < 16; i++) out.v[i] = halfToFloat(p[i]);
  return out;
}

static inline void toF16(uint16_t* p, F32x16 x) {
  for (int i = 0; i < 16; i++) p[i] = floatToHalf(x.v[i]);
}

static inline F32x16 fromBf16(const uint16_t* p) {
  F32x16 out;
  for (int i = 0; i < 16; i++) {
    const uint32_t bits = static_cast<uint32_t>(p[i]) << 16;
    memcpy(&out.v[i], &bits, 4);
  }
  return out;
}

static inline F32x16 fromI8(const int8_t* p) {
  F32x16 out;
  for (int i = 0; i < 16; i++) out.v[i] = static_cast<float>(p[i]);
  return out;
}

static inline F32x16 fromU8(const uint8_t* p) {
  F32x16 out;
  for (int i = 0; i < 16; i++) out.v[i] = static_cast<float>(p[i]);
  return out;
}

/** Whole numbers in [-128, 127] as bytes. */
static inline void toI8(int8_t* p, F32x16 x) {
  for (int i = 0; i < 16; i++) p[i] = static_cast<int8_t>(x.v[i]);
}

/** Sixteen words: a quad of levels, word r with four columns of row r, lowest column first. */
struct U32x16 {
  uint32_t v[16];
};

static inline U32x16 loadWords(const uint8_t* p) {
  U32x16 out;
  memcpy(out.v, p, sizeof out.v);
  return out;
}

/** By bits in [0, 31]. */
static inline U32x16 shiftRight(U32x16 a, int bits) {
  for (int i = 0; i < 16; i++) a.v[i] >>= bits;
  return a;
}

static inline U32x16 shiftLeft(U32x16 a, int bits) {
  for (int i = 0; i < 16; i++) a.v[i] <<= bits;
  return a;
}

static inline U32x16 bitAnd(U32x16 a, uint32_t mask) {
  for (int i = 0; i < 16; i++) a.v[i] &= mask;
  return a;
}

static inline U32x16 bitOr(U32x16 a, U32x16 b) {
  for (int i = 0; i < 16; i++) a.v[i] |= b.v[i];
  return a;
}

static inline U32x16 bitXor(U32x16 a, uint32_t mask) {
  for (int i = 0; i < 16; i++) a.v[i] ^= mask;
  return a;
}

/** Each byte's number of a table of 16 or 32, which begins at a multiple of 32. */
static inline U32x16 lookUp(U32x16 a, const int8_t* table) {
  for (int i = 0; i < 16; i++) {
    uint32_t word = 0;
    for (int shift = 0; shift < 32; shift += 8) {
      word |= static_cast<uint32_t>(static_cast<uint8_t>(table[a.v[i] >> shift & 255u])) << shift;
    }
    a.v[i] = word;
  }
  return a;
}

static inline U32x16 lookUp16(U32x16 a, const int8_t* table) { return lookUp(a, table); }
static inline U32x16 lookUp32(U32x16 a, const int8_t* table) { return lookUp(a, table); }

/** For words < 2^24. */
static inline F32x16 toFloats(U32x16 a) {
  F32x16 out;
  for (int i = 0; i < 16; i++) out.v[i] = static_cast<float>(a.v[i]);
  return out;
}

/**
 * Gives each bit of the mask that is set the next byte of `from`, which has 64 to be read, and the others `fill`; out
 * [64].
 */
static inline void spreadBytes(const uint8_t* from, uint64_t mask, int fill, uint8_t* out) {
  for (int i = 0; i < 64; i++) out[i] = (mask >> i & 1) != 0 ? *from++ : static_cast<uint8_t>(fill);
}

}  // namespace scalar
}  // namespace layerwise
