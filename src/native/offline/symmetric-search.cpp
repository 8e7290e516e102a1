// The search of src/quantization/symmetric-search.ts, which has the reasons; here candidates are summed several at a
// time.
#include <limits>

#include "scale-search.h"
#include "whole-levels.h"

namespace layerwise {
namespace offline {
namespace {

/** From so many bits on, the missing positive level weighs too little to try the scale's other sign. */
constexpr int kOneSignBits = 5;

struct Group {
  const KernelTable& kernels;
  const float* x;
  int32_t n;
  double half;
};

float extremeOf(const float* x, int32_t n) {
  float extreme = 0;
  for (int32_t i = 0; i < n; i++) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  return extreme;
}

/** Inverse scales to try, in the twin's order; filled up to a multiple of kFitLanes by repeating the last. */
int candidates(const Group& group, double extreme, int bits, double* inverses) {
  const double half = group.half;
  int count = 0;
  for (int i = 0; i < 13; i++) inverses[count++] = (-half - (i - 6) * 0.3) / extreme;
  for (int i = 0; bits < kOneSignBits && i < 5; i++) inverses[count++] = (half - 1 + (i - 2) / 2.0) / extreme;
  if (group.n > kLongGroup) {
    for (const double cut : kCuts) inverses[count++] = -half * cut / extreme;
  }
  return count;
}

/** The scale that fits the codes under an inverse scale best, from their sums. */
double refitted(double xq, double qq, double inverse) { return qq > 0 ? xq / qq : 1 / inverse; }

/** The best fitted scale over all candidate inverse scales, before rounding to f16. */
double searchInverse(const Group& group, double extreme, int bits) {
  double inverses[kMaxCandidates], xq[kMaxCandidates], qq[kMaxCandidates];
  const int count = candidates(group, extreme, bits, inverses);
  group.kernels.fitSums(group.x, group.n, inverses, nullptr, fillLanes(inverses, count), -group.half, group.half - 1,
                        xq, nullptr, qq);
  double scale = extreme / (group.half - 1);
  double best = -std::numeric_limits<double>::infinity();
  for (int i = 0; i < count; i++) {
    const double gain = qq[i] > 0 ? xq[i] * xq[i] / qq[i] : 0;
    if (gain > best) {
      best = gain;
      scale = refitted(xq[i], qq[i], inverses[i]);
    }
  }
  return scale;
}

double refit(const Group& group, double inverse) {
  double inverses[kFitLanes], xq[kFitLanes], qq[kFitLanes];
  inverses[0] = inverse;
  group.kernels.fitSums(group.x, group.n, inverses, nullptr, fillLanes(inverses, 1), -group.half, group.half - 1, xq,
                        nullptr, qq);
  return refitted(xq[0], qq[0], inverse);
}

/** The first of the least errors among finite scales; false where there are none. */
bool leastError(const Group& group, const double* scales, int count, Fit* best) {
  double tried[2 * kFitLanes], inverses[2 * kFitLanes], errors[2 * kFitLanes];
  int finite = 0;
  for (int i = 0; i < count; i++) {
    if (std::isfinite(scales[i])) tried[finite++] = scales[i];
  }
  if (finite == 0) return false;
  const int filled = fillLanes(tried, finite);
  for (int i = 0; i < filled; i++) inverses[i] = inverseOf(tried[i]);
  group.kernels.fitErrors(group.x, group.n, inverses, tried, nullptr, filled, -group.half, group.half - 1, true,
                          errors);
  int first = 0;
  for (int i = 1; i < finite; i++) {
    if (errors[i] < errors[first]) first = i;
  }
  *best = {tried[first], 0};
  return true;
}

}  // namespace

bool fitSymmetric(const KernelTable& kernels, const float* x, int32_t n, int bits, Fit* best) {
  const double extreme = extremeOf(x, n);
  if (extreme == 0) {
    *best = {0, 0};
    return true;
  }
  const Group group = {kernels, x, n, static_cast<double>(1 << (bits - 1))};
  double scales[2 + kRefits + 1];
  int count = 0;
  scales[count++] = roundToF16(extreme / (group.half - 1));
  scales[count++] = roundToF16(-extreme / group.half);
  double wanted = searchInverse(group, extreme, bits);
  double last = std::numeric_limits<double>::quiet_NaN();
  for (int round = 0; round <= kRefits && roundToF16(wanted) != last; round++) {
    last = roundToF16(wanted);
    scales[count++] = last;
    if (round < kRefits) wanted = refit(group, 1 / wanted);
  }
  return leastError(group, scales, count, best);
}

}  // namespace offline
}  // namespace layerwise
