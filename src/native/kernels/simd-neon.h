// Sixteen floats as four 128-bit registers: 64-bit ARM. The names and what they mean: simd-scalar.h. The including
// table defines LAYERWISE_SIMD, so that tables with more instructions have namespaces of their own.
#pragma once
#include <arm_neon.h>

#include <cstdint>
#include <cstring>

#include "spread-tables.h"

namespace layerwise {
namespace LAYERWISE_SIMD {

/** v[i]: lanes 4i … 4i + 3. */
struct F32x16 {
  float32x4_t v[4];
};

static inline F32x16 broadcast(float x) {
  const float32x4_t v = vdupq_n_f32(x);
  return {{v, v, v, v}};
}

static inline F32x16 load(const float* p) {
  return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
}

static inline void store(float* p, F32x16 x) {
  for (int i = 0; i < 4; i++) vst1q_f32(p + 4 * i, x.v[i]);
}

static inline F32x16 loadPart(const float* p, int n) {
  float all[16] = {0};
  memcpy(all, p, static_cast<size_t>(n) * sizeof(float));
  return load(all);
}

static inline void storePart(float* p, F32x16 x, int n) {
  float all[16];
  store(all, x);
  memcpy(p, all, static_cast<size_t>(n) * sizeof(float));
}

static inline F32x16 add(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; i++) a.v[i] = vaddq_f32(a.v[i], b.v[i]);
  return a;
}

static inline F32x16 sub(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; i++) a.v[i] = vsubq_f32(a.v[i], b.v[i]);
  return a;
}

static inline F32x16 mul(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; i++) a.v[i] = vmulq_f32(a.v[i], b.v[i]);
  return a;
}

static inline F32x16 div(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; i++) a.v[i] = vdivq_f32(a.v[i], b.v[i]);
  return a;
}

static inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
  for (int i = 0; i < 4; i++) c.v[i] = vfmaq_f32(c.v[i], a.v[i], b.v[i]);
  return c;
}

// ARM's own max and min return the NaN: compared and selected instead.
static inline float32x4_t greaterOf(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

static inline F32x16 max(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; i++) a.v[i] = greaterOf(a.v[i], b.v[i]);
  return a;
}

static inline F32x16 min(F32x16 a, F32x16 b) {
  for (int i = 0; i < 4; i++) a.v[i] = vbslq_f32(vcltq_f32(a.v[i], b.v[i]), a.v[i], b.v[i]);
  return a;
}

static inline F32x16 absolute(F32x16 a) {
  for (int i = 0; i < 4; i++) a.v[i] = vabsq_f32(a.v[i]);
  return a;
}

static inline F32x16 selectLess(F32x16 a, F32x16 b, F32x16 x, F32x16 y) {
  for (int i = 0; i < 4; i++) x.v[i] = vbslq_f32(vcltq_f32(a.v[i], b.v[i]), x.v[i], y.v[i]);
  return x;
}

static inline F32x16 selectLanes(int from, int to, F32x16 x, F32x16 y) {
  static const int32_t numbers[4] = {0, 1, 2, 3};
  int32x4_t lanes = vld1q_s32(numbers);
  for (int i = 0; i < 4; i++) {
    const uint32x4_t inside = vandq_u32(vcgeq_s32(lanes, vdupq_n_s32(from)), vcltq_s32(lanes, vdupq_n_s32(to)));
    x.v[i] = vbslq_f32(inside, x.v[i], y.v[i]);
    lanes = vaddq_s32(lanes, vdupq_n_s32(4));
  }
  return x;
}

static inline F32x16 roundNearest(F32x16 a) {
  for (int i = 0; i < 4; i++) a.v[i] = vrndnq_f32(a.v[i]);
  return a;
}

static inline F32x16 powerOfTwo(F32x16 n) {
  for (int i = 0; i < 4; i++) {
    const int32x4_t exponent = vaddq_s32(vcvtq_s32_f32(n.v[i]), vdupq_n_s32(127));
    n.v[i] = vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23));
  }
  return n;
}

static inline float sumOf(F32x16 a) {
  const float32x4_t four = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
  const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
  return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

static inline float maxOf(F32x16 a) {
  const float32x4_t four = greaterOf(greaterOf(a.v[0], a.v[2]), greaterOf(a.v[1], a.v[3]));
  const float32x2_t low = vget_low_f32(four), high = vget_high_f32(four);
  const float32x2_t two = vbsl_f32(vcgt_f32(low, high), low, high);
  const float first = vget_lane_f32(two, 0), second = vget_lane_f32(two, 1);
  return first > second ? first : second;
}

static inline F32x16 fromF16(const uint16_t* p) {
  F32x16 out;
  for (int i = 0; i < 4; i++) out.v[i] = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i)));
  return out;
}

static inline void toF16(uint16_t* p, F32x16 x) {
  for (int i = 0; i < 4; i++) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(x.v[i])));
}

static inline F32x16 fromBf16(const uint16_t* p) {
  F32x16 out;
  for (int i = 0; i < 4; i++) out.v[i] = vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16));
  return out;
}

static inline F32x16 fromI16(int16x8_t low, int16x8_t high) {
  return {{vcvtq_f32_s32(vmovl_s16(vget_low_s16(low))), vcvtq_f32_s32(vmovl_high_s16(low)),
           vcvtq_f32_s32(vmovl_s16(vget_low_s16(high))), vcvtq_f32_s32(vmovl_high_s16(high))}};
}

static inline F32x16 fromI8(const int8_t* p) {
  const int8x16_t bytes = vld1q_s8(p);
  return fromI16(vmovl_s8(vget_low_s8(bytes)), vmovl_high_s8(bytes));
}

static inline F32x16 fromU8(const uint8_t* p) {
  const uint8x16_t bytes = vld1q_u8(p);
  return fromI16(vreinterpretq_s16_u16(vmovl_u8(vget_low_u8(bytes))), vreinterpretq_s16_u16(vmovl_high_u8(bytes)));
}

static inline void toI8(int8_t* p, F32x16 x) {
  int16x4_t words[4];
  for (int i = 0; i < 4; i++) words[i] = vmovn_s32(vcvtq_s32_f32(x.v[i]));
  vst1_s8(p, vmovn_s16(vcombine_s16(words[0], words[1])));
  vst1_s8(p + 8, vmovn_s16(vcombine_s16(words[2], words[3])));
}

/** v[i]: words 4i … 4i + 3. */
struct U32x16 {
  uint32x4_t v[4];
};

static inline U32x16 loadWords(const uint8_t* p) {
  U32x16 out;
  for (int i = 0; i < 4; i++) out.v[i] = vreinterpretq_u32_u8(vld1q_u8(p + 16 * i));
  return out;
}

static inline U32x16 shiftRight(U32x16 a, int bits) {
  for (int i = 0; i < 4; i++) a.v[i] = vshlq_u32(a.v[i], vdupq_n_s32(-bits));
  return a;
}

static inline U32x16 shiftLeft(U32x16 a, int bits) {
  for (int i = 0; i < 4; i++) a.v[i] = vshlq_u32(a.v[i], vdupq_n_s32(bits));
  return a;
}

static inline U32x16 bitAnd(U32x16 a, uint32_t mask) {
  for (int i = 0; i < 4; i++) a.v[i] = vandq_u32(a.v[i], vdupq_n_u32(mask));
  return a;
}

static inline U32x16 bitOr(U32x16 a, U32x16 b) {
  for (int i = 0; i < 4; i++) a.v[i] = vorrq_u32(a.v[i], b.v[i]);
  return a;
}

static inline U32x16 bitXor(U32x16 a, uint32_t mask) {
  for (int i = 0; i < 4; i++) a.v[i] = veorq_u32(a.v[i], vdupq_n_u32(mask));
  return a;
}

static inline U32x16 lookUp16(U32x16 a, const int8_t* table) {
  const int8x16_t numbers = vld1q_s8(table);
  for (int i = 0; i < 4; i++) a.v[i] = vreinterpretq_u32_s8(vqtbl1q_s8(numbers, vreinterpretq_u8_u32(a.v[i])));
  return a;
}

static inline U32x16 lookUp32(U32x16 a, const int8_t* table) {
  const int8x16x2_t numbers = {{vld1q_s8(table), vld1q_s8(table + 16)}};
  for (int i = 0; i < 4; i++) a.v[i] = vreinterpretq_u32_s8(vqtbl2q_s8(numbers, vreinterpretq_u8_u32(a.v[i])));
  return a;
}

static inline F32x16 toFloats(U32x16 a) {
  F32x16 out;
  for (int i = 0; i < 4; i++) out.v[i] = vcvtq_f32_u32(a.v[i]);
  return out;
}

static constexpr SpreadTable kSpreadTable;

static inline void spreadBytes(const uint8_t* from, uint64_t mask, int fill, uint8_t* out) {
  const uint8x16_t rest = vdupq_n_u8(static_cast<uint8_t>(fill));
  const uint8x16_t upper = vcombine_u8(vdup_n_u8(0), vdup_n_u8(8));
  const uint64_t before = bitsUpToByte(mask) << 8;
  for (int i = 0; i < 8; i += 2) {
    const uint8x16_t bytes = vcombine_u8(vld1_u8(from + (before >> (8 * i) & 255)),
                                         vld1_u8(from + (before >> (8 * i + 8) & 255)));
    const uint8x16_t places = vcombine_u8(vld1_u8(kSpreadTable.places[mask >> (8 * i) & 255]),
                                          vld1_u8(kSpreadTable.places[mask >> (8 * i + 8) & 255]));
    // A place beyond the register leaves what is there.
    vst1q_u8(out + 8 * i, vqtbx1q_u8(rest, bytes, vorrq_u8(places, upper)));
  }
}

}  // namespace LAYERWISE_SIMD
}  // namespace layerwise
