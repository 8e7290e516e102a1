// The search of src/quantization/asymmetric-search.ts, which has the reasons; here candidates are summed several at a
// time.
#include <limits>

#include "scale-search.h"
#include "whole-levels.h"

namespace layerwise {
namespace offline {
namespace {

struct Group {
  const KernelTable& kernels;
  const float* x;
  int32_t n;
  double top;
  double least, most;
  /** The twin's sum of x: pairs added, then their sums in order. */
  double sumX;
};

/** A line through (code, weight) and what it takes off sum(x x). */
struct Line {
  double scale, minimum, gain;
};

void findRange(Group* group) {
  float least = group->x[0], most = group->x[0];
  for (int32_t i = 1; i < group->n; i++) {
    if (group->x[i] < least) {
      least = group->x[i];
    } else if (group->x[i] > most) {
      most = group->x[i];
    }
  }
  group->least = least;
  group->most = most;
}

double pairedSum(const float* x, int32_t n) {
  double sum = 0;
  int32_t i = 0;
  for (; i + 1 < n; i += 2) sum += static_cast<double>(x[i]) + static_cast<double>(x[i + 1]);
  return i < n ? sum + x[i] : sum;
}

/** The least-squares line of one candidate, from its sums. */
Line lineOf(const Group& group, double inverse, double minimum, double xq, double q, double qq) {
  const double count = group.n;
  const double spread = count * qq - q * q;
  if (spread <= 0) return {1 / inverse, minimum, -std::numeric_limits<double>::infinity()};
  const double scale = (count * xq - group.sumX * q) / spread;
  const double offset = (group.sumX - scale * q) / count;
  return {scale, offset, scale * xq + offset * group.sumX};
}

/** Lines of `count` candidates; both arrays have room up to a multiple of kFitLanes. */
void fitLines(const Group& group, double* inverses, double* minima, int count, Line* lines) {
  double xq[kMaxCandidates], q[kMaxCandidates], qq[kMaxCandidates];
  const int filled = fillLanes(inverses, count);
  fillLanes(minima, count);
  group.kernels.fitSums(group.x, group.n, inverses, minima, filled, 0, group.top, xq, q, qq);
  for (int i = 0; i < count; i++) lines[i] = lineOf(group, inverses[i], minima[i], xq[i], q[i], qq[i]);
}

/** The best fit over all candidate spreads, before rounding to f16. */
Line searchFit(const Group& group) {
  const double width = group.most - group.least, middle = (group.least + group.most) / 2;
  double inverses[kMaxCandidates], minima[kMaxCandidates];
  int count = 0;
  const auto add = [&](double levels) {
    inverses[count] = levels / width;
    minima[count] = middle - group.top / 2 / inverses[count];
    count++;
  };
  for (int i = 0; i < 11; i++) add(group.top + (i - 3) / 4.0);
  if (group.n > kLongGroup) {
    for (const double cut : kCuts) add(group.top * cut);
  }
  Line lines[kMaxCandidates];
  fitLines(group, inverses, minima, count, lines);
  Line best = {width / group.top, group.least, -std::numeric_limits<double>::infinity()};
  for (int i = 0; i < count; i++) {
    if (lines[i].gain > best.gain) best = lines[i];
  }
  return best;
}

Line refit(const Group& group, const Line& line) {
  double inverses[kFitLanes] = {1 / line.scale}, minima[kFitLanes] = {line.minimum};
  Line out;
  fitLines(group, inverses, minima, 1, &out);
  return out;
}

/** Scales and minima as f16 has them, to be compared by their errors. */
struct Rounded {
  double scales[2 * kFitLanes], minima[2 * kFitLanes];
  int count = 0;

  void add(double scale, double minimum) {
    scales[count] = roundToF16(scale);
    minima[count] = roundToF16(minimum);
    if (std::isfinite(scales[count]) && std::isfinite(minima[count])) count++;
  }
};

/** The first of the least errors; false where no candidate was finite. */
bool leastError(const Group& group, Rounded* tried, Fit* best) {
  if (tried->count == 0) return false;
  double inverses[2 * kFitLanes], errors[2 * kFitLanes];
  const int filled = fillLanes(tried->scales, tried->count);
  fillLanes(tried->minima, tried->count);
  for (int i = 0; i < filled; i++) inverses[i] = inverseOf(tried->scales[i]);
  group.kernels.fitErrors(group.x, group.n, inverses, tried->scales, tried->minima, filled, 0, group.top, false,
                          errors);
  int first = 0;
  for (int i = 1; i < tried->count; i++) {
    if (errors[i] < errors[first]) first = i;
  }
  *best = {tried->scales[first], tried->minima[first]};
  return true;
}

}  // namespace

bool fitAsymmetric(const KernelTable& kernels, const float* x, int32_t n, int bits, Fit* best) {
  Group group = {kernels, x, n, static_cast<double>((1 << bits) - 1), 0, 0, pairedSum(x, n)};
  findRange(&group);
  // Zeros keep their sign, as Math.min(least, 0) and Math.max(most, 0) have it.
  const double lowest = group.least > 0 ? 0 : group.least, highest = group.most > 0 ? group.most : 0;
  Rounded tried;
  tried.add((group.most - group.least) / group.top, group.least);
  tried.add((highest - lowest) / group.top, lowest);
  if (group.most > group.least) {
    Line wanted = searchFit(group);
    for (int round = 0; round <= kRefits; round++) {
      tried.add(wanted.scale, wanted.minimum);
      if (round < kRefits) wanted = refit(group, wanted);
    }
  }
  return leastError(group, &tried, best);
}

}  // namespace offline
}  // namespace layerwise
