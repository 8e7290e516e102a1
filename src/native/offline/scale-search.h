// The scales of least weighted squared error: twins of src/maths/plain/symmetric-search.ts and asymmetric-search.ts,
// candidate for candidate and sum for sum, so that both choose the same.
#pragma once
#include "../kernels/offline-kernels.h"
#include "level-table.h"

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

/** One group and the levels that its weights may take. */
struct SearchGroup {
  const OfflineKernels& kernels;
  const LevelForm& form;
  FitGroup fit;

  SearchGroup(const OfflineKernels& on, const LevelForm& levels, const float* x, const float* weights, int32_t n)
      : kernels(on), form(levels), fit{x, weights, n, levels.least, levels.most, levels.nearest()} {}

  /** A candidate as the codec stores it: f16, or f32 where it is only wished for (two-level scales). */
  float stored(double number) const;
};

/** The best scale; false where the stored type reaches none. */
bool fitSymmetric(const SearchGroup& group, Fit* best);
/** The best scale and minimum; false where the stored type reaches none. */
bool fitAsymmetric(const SearchGroup& group, Fit* best);

/** The best of the int8 scale codes around best->scale / rowScale. */
void snapSymmetric(const SearchGroup& group, double rowScale, Fit* best);
/** The best pair of the int8 codes around both. */
void snapAsymmetric(const SearchGroup& group, double rowScale, double rowMinimum, Fit* best);

}  // namespace offline
}  // namespace layerwise
