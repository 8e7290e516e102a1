// Dense maths for the offline stages, and the loop that measures how fast memory is read.

#include "unroll.h"

#if defined(__GNUC__) && !defined(__clang__)
// Vectors wider than the registers are passed in ways that changed between compilers; nothing here is called from
// outside.
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

/**
 * C [ROWS, nr] of a 6 x 16 tile: all sums stay in registers, so that a step costs one load of B and a broadcast a row.
 */
template <int ROWS>
static inline void gemmRows(int64_t k, const float* a, const float* b, float* c, int64_t ldc, int32_t nr,
                            bool accumulate) {
  F32x16 sums[ROWS];
  LAYERWISE_UNROLL
  for (int r = 0; r < ROWS; r++) {
    float* at = c + r * ldc;
    sums[r] = !accumulate ? broadcast(0) : nr == 16 ? load(at) : loadPart(at, nr);
  }
  for (int64_t i = 0; i < k; i++) {
    const F32x16 column = load(b + i * 16);
    LAYERWISE_UNROLL
    for (int r = 0; r < ROWS; r++) sums[r] = fma(broadcast(a[i * 6 + r]), column, sums[r]);
  }
  LAYERWISE_UNROLL
  for (int r = 0; r < ROWS; r++) {
    if (nr == 16) {
      store(c + r * ldc, sums[r]);
    } else {
      storePart(c + r * ldc, sums[r], nr);
    }
  }
}

static void gemmTile(int64_t k, const float* a, const float* b, float* c, int64_t ldc, int32_t mr, int32_t nr,
                     bool accumulate) {
  switch (mr) {
    case 1: return gemmRows<1>(k, a, b, c, ldc, nr, accumulate);
    case 2: return gemmRows<2>(k, a, b, c, ldc, nr, accumulate);
    case 3: return gemmRows<3>(k, a, b, c, ldc, nr, accumulate);
    case 4: return gemmRows<4>(k, a, b, c, ldc, nr, accumulate);
    case 5: return gemmRows<5>(k, a, b, c, ldc, nr, accumulate);
    default: return gemmRows<6>(k, a, b, c, ldc, nr, accumulate);
  }
}

/**
 * Streams that are read side by side: processors prefetch each of them, and one alone does not fill a core's bandwidth.
 */
constexpr int kReadStreams = 4;

#if defined(__GNUC__)
typedef uint64_t U64x4 __attribute__((vector_size(32)));
#else
struct U64x4 {
  uint64_t v[4];
};
static inline U64x4 operator+(U64x4 a, U64x4 b) {
  for (int i = 0; i < 4; i++) a.v[i] += b.v[i];
  return a;
}
#endif

static inline U64x4 loadWords4(const uint8_t* p) {
  U64x4 out;
  memcpy(&out, p, sizeof out);
  return out;
}

static uint64_t readBytes(const uint8_t* data, int64_t bytes) {
  const int64_t lines = bytes / 64 / kReadStreams;
  U64x4 low[kReadStreams] = {}, high[kReadStreams] = {};
  for (int64_t at = 0; at < lines * 64; at += 64) {
    LAYERWISE_UNROLL
    for (int s = 0; s < kReadStreams; s++) {
      const uint8_t* line = data + s * lines * 64 + at;
      low[s] = low[s] + loadWords4(line);
      high[s] = high[s] + loadWords4(line + 32);
    }
  }
  uint64_t total = 0;
  for (int s = 0; s < kReadStreams; s++) {
    uint64_t words[4];
    const U64x4 sum = low[s] + high[s];
    memcpy(words, &sum, sizeof words);
    total += words[0] + words[1] + words[2] + words[3];
  }
  for (int64_t at = lines * kReadStreams * 64; at < bytes; at += 8) {
    uint64_t word = 0;
    memcpy(&word, data + at, static_cast<size_t>(bytes - at < 8 ? bytes - at : 8));
    total += word;
  }
  return total;
}

#include "dense-double.inc.h"
#include "fit-sums.inc.h"
#include "refine-row.inc.h"
