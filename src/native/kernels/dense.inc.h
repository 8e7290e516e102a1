// Dense maths for the offline stages. Included by offline-kernels.inc.h.

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
