// The f16 scales of least squared error: twins of src/quantization/symmetric-search.ts and asymmetric-search.ts,
// candidate for candidate and sum for sum, so that both choose the same.
#pragma once
#include "../kernels/kernel-table.h"

namespace layerwise {
namespace offline {

/** Repeats the last number up to a multiple of kFitLanes; returns that multiple. */
inline int fillLanes(double* numbers, int count) {
  const int filled = (count + kFitLanes - 1) / kFitLanes * kFitLanes;
  for (int i = count; i < filled; i++) numbers[i] = numbers[count - 1];
  return filled;
}

struct Fit {
  double scale;
  double minimum;  // asymmetric only
};

/** The best scale for x [n]; false where f16 reaches none. */
bool fitSymmetric(const KernelTable& kernels, const float* x, int32_t n, int bits, Fit* best);

/** The best scale and minimum for x [n]; false where f16 reaches none. */
bool fitAsymmetric(const KernelTable& kernels, const float* x, int32_t n, int bits, Fit* best);

}  // namespace offline
}  // namespace layerwise
