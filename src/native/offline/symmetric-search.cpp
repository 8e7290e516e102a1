// The search of src/maths/plain/symmetric-search.ts, which has the reasons; here candidates are summed several at a
// time.
#include <limits>

#include "scale-search.h"
#include "whole-levels.h"

namespace layerwise {
namespace offline {
namespace {

/** From so many bits on, the missing positive level weighs too little to try the scale's other sign. */
constexpr int kOneSignBits = 5;

float extremeOf(const float* x, int32_t n) {
  float extreme = 0;
  for (int32_t i = 0; i < n; i++) {
    if (std::fabs(x[i]) > std::fabs(extreme)) extreme = x[i];
  }
  return extreme;
}

/** Inverse scales to try, in the twin's order. */
int candidates(const SearchGroup& group, double extreme, double* inverses) {
  const LevelForm& form = group.form;
  int count = 0;
  const auto add = [&](double level) { inverses[count++] = level / extreme; };
  for (int i = 0; i < 13; i++) add(form.least - (i - 6) * 0.3 * form.gapLow);
  if (form.table) {
    for (int i = 0; i < 13; i++) add(form.most + (i - 6) * 0.3 * form.gapHigh);
  } else if (form.bits < kOneSignBits) {
    for (int i = 0; i < 5; i++) add(form.most + (i - 2) / 2.0);
  }
  if (group.fit.n > kLongGroup) {
    for (const double cut : kCuts) add(form.least * cut);
  }
  return count;
}

/** The scale that fits the codes under an inverse scale best, from their sums. */
double refitted(double xq, double qq, double inverse) { return qq > 0 ? xq / qq : 1 / inverse; }

/** The best fitted scale over all candidate inverse scales, before rounding. */
double searchInverse(const SearchGroup& group, double extreme) {
  double inverses[kMaxCandidates], xq[kMaxCandidates], qq[kMaxCandidates];
  const int count = candidates(group, extreme, inverses);
  group.kernels.fitSums(group.fit, inverses, nullptr, fillLanes(inverses, count), xq, nullptr, qq);
  double scale = extreme / group.form.most;
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

double refit(const SearchGroup& group, double inverse) {
  double inverses[kFitLanes], xq[kFitLanes], qq[kFitLanes];
  inverses[0] = inverse;
  group.kernels.fitSums(group.fit, inverses, nullptr, fillLanes(inverses, 1), xq, nullptr, qq);
  return refitted(xq[0], qq[0], inverse);
}

/** The first of the least errors among finite scales; false where there are none. */
bool leastError(const SearchGroup& group, const double* scales, int count, Fit* best) {
  double tried[2 * kFitLanes], inverses[2 * kFitLanes], errors[2 * kFitLanes];
  int finite = 0;
  for (int i = 0; i < count; i++) {
    if (std::isfinite(scales[i])) tried[finite++] = scales[i];
  }
  if (finite == 0) return false;
  const int filled = fillLanes(tried, finite);
  for (int i = 0; i < filled; i++) inverses[i] = inverseOf(tried[i]);
  group.kernels.fitErrors(group.fit, inverses, tried, nullptr, filled, true, errors);
  int first = 0;
  for (int i = 1; i < finite; i++) {
    if (errors[i] < errors[first]) first = i;
  }
  *best = {tried[first], 0};
  return true;
}

}  // namespace

float SearchGroup::stored(double number) const {
  // One conversion for both: of two, GCC 12 leaves out the one to float and back.
  const float narrowed = static_cast<float>(number);
  return form.twoLevel ? narrowed : scalar::halfToFloat(scalar::floatToHalf(narrowed));
}

bool fitSymmetric(const SearchGroup& group, Fit* best) {
  const double extreme = extremeOf(group.fit.x, group.fit.n);
  if (extreme == 0) {
    *best = {0, 0};
    return true;
  }
  double scales[2 + kRefits + 1];
  int count = 0;
  scales[count++] = group.stored(extreme / group.form.most);
  scales[count++] = group.stored(extreme / group.form.least);
  double wanted = searchInverse(group, extreme);
  double last = std::numeric_limits<double>::quiet_NaN();
  for (int round = 0; round <= kRefits && group.stored(wanted) != last; round++) {
    last = group.stored(wanted);
    scales[count++] = last;
    if (round < kRefits) wanted = refit(group, 1 / wanted);
  }
  return leastError(group, scales, count, best);
}

void snapSymmetric(const SearchGroup& group, double rowScale, Fit* best) {
  const double code = nearestLevel(best->scale * inverseOf(rowScale), -127, 127);
  const double scales[] = {code * rowScale, nearestLevel(code - 1, -127, 127) * rowScale,
                           nearestLevel(code + 1, -127, 127) * rowScale};
  leastError(group, scales, 3, best);
}

}  // namespace offline
}  // namespace layerwise
