// Rounding to levels: the twin of src/tensor/rounding.ts.
#pragma once
#include <cmath>

#include "../kernels/simd-scalar.h"

namespace layerwise {
namespace offline {

/** The whole number nearest to x, ties to even, within least … most. */
inline double nearestLevel(double x, double least, double most) {
  // Adding and taking away 1.5 * 2^52 leaves no fraction.
  const double rounded = x + 6755399441055744.0 - 6755399441055744.0;
  if (rounded < least) return least;
  return rounded > most ? most : rounded;
}

/** 1 / scale, and 0 for the scale 0, under which every weight has the level that stands for nothing. */
inline double inverseOf(double scale) { return scale == 0 ? 0 : 1 / scale; }

/** x as an f32, rounded to the nearest f16 number. */
inline double roundToF16(double x) { return scalar::halfToFloat(scalar::floatToHalf(static_cast<float>(x))); }

/**
 * Columns from which on a group is long: rare extremes weigh little then, and cutting them off by these factors pays.
 */
constexpr int kLongGroup = 48;
constexpr double kCuts[] = {1.1, 1.2, 1.3, 1.45, 1.6, 1.8, 2.1, 2.5, 3};
/** Rounds of fitting scales to the codes and choosing the codes anew. */
constexpr int kRefits = 2;
/** Room for every candidate of a search, a multiple of kFitLanes. */
constexpr int kMaxCandidates = 36;

}  // namespace offline
}  // namespace layerwise
