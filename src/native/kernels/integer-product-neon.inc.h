// The integer product for 64-bit ARM: four registers are one vector of levels. Included by device-kernels.inc.h inside
// the table's namespace; LAYERWISE_DOT_PRODUCT is 1 where the table's processors have the dot-product instructions.
//
// ARM multiplies signed bytes with signed bytes. Codes of up to 6 bits are that anyway; those of 8 bits are made signed
// by taking 128 away, and 128 times the activations' sum is put back, so that all kinds have sums of codes.

struct Lanes {
  using Bytes = int8x16_t;
  static Bytes words(int32_t word) { return vreinterpretq_s8_s32(vdupq_n_s32(word)); }
  static constexpr int kProductsOfQuad = 1;
  static constexpr int kPrefetch = 2048;
};

#include "integer-lanes.inc.h"

/** Codes of the eight quads of a chunk: quad q, rows 4i … 4i + 3. */
struct ChunkCodes {
  int8x16_t quad[8][4];
};

template <class F>
static inline ChunkCodes chunkCodes(const uint8_t* p) {
  ChunkCodes out;
  LAYERWISE_UNROLL
  for (int q = 0; q < 8; q++) {
    U32x16 codes = levelCodes<F::kBits, F::kTable>(p, q);
    for (int i = 0; i < 4; i++) {
      if (F::kLevelBits == 8) codes.v[i] = veorq_u32(codes.v[i], vdupq_n_u32(0x80808080u));
      out.quad[q][i] = vreinterpretq_s8_u32(codes.v[i]);
    }
  }
  return out;
}

#if LAYERWISE_DOT_PRODUCT

/** Dot products of signed bytes, in 32 bits. */
template <int kBits>
static inline void signedSums(const ChunkCodes& codes, const int8_t* x, int32x4_t sums[4]) {
  LAYERWISE_UNROLL
  for (int q = 0; q < 8; q++) {
    const int8x16_t four = fourOf(x + 4 * q);
    for (int i = 0; i < 4; i++) sums[i] = vdotq_s32(sums[i], codes.quad[q][i], four);
  }
}

#else

template <int kBits>
static inline void signedSums(const ChunkCodes& codes, const int8_t* x, int32x4_t sums[4]) {
  // Codes of 8 bits were made signed: -128 is the farthest.
  constexpr int safe = safeQuads(kBits == 8 ? 128 : mostCode(kBits));
  // Pairs of columns of rows 4i, 4i + 1 and of rows 4i + 2, 4i + 3.
  int32x4_t low[4], high[4];
  for (int i = 0; i < 4; i++) low[i] = high[i] = vdupq_n_s32(0);
  LAYERWISE_UNROLL
  for (int from = 0; from < 8; from += safe) {
    for (int i = 0; i < 4; i++) {
      int16x8_t first = vdupq_n_s16(0), second = first;
      LAYERWISE_UNROLL
      for (int q = from; q < from + safe; q++) {
        const int8x16_t four = fourOf(x + 4 * q);
        first = vmlal_s8(first, vget_low_s8(codes.quad[q][i]), vget_low_s8(four));
        second = vmlal_high_s8(second, codes.quad[q][i], four);
      }
      low[i] = vpadalq_s16(low[i], first);
      high[i] = vpadalq_s16(high[i], second);
    }
  }
  for (int i = 0; i < 4; i++) sums[i] = vaddq_s32(sums[i], vpaddq_s32(low[i], high[i]));
}

#endif

/** The sum of 32 activations. */
static inline int32_t sumOfActivations(const int8_t* x) {
  return vaddlvq_s8(vld1q_s8(x)) + vaddlvq_s8(vld1q_s8(x + 16));
}

template <int kBits>
static inline F32x16 codeSums(const ChunkCodes& codes, const int8_t* x, int32_t start) {
  int32x4_t sums[4];
  const int32_t first = kBits == 8 ? start + 128 * sumOfActivations(x) : start;
  for (int i = 0; i < 4; i++) sums[i] = vdupq_n_s32(first);
  signedSums<kBits>(codes, x, sums);
  F32x16 out;
  for (int i = 0; i < 4; i++) out.v[i] = vcvtq_f32_s32(sums[i]);
  return out;
}

#include "integer-product-tiles.inc.h"
