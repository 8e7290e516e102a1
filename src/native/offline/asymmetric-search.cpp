// The search of src/maths/plain/asymmetric-search.ts, which has the reasons; here candidates are summed several at a
// time.
#include <limits>

#include "scale-search.h"
#include "whole-levels.h"

namespace layerwise {
namespace offline {
namespace {

struct Group {
  const SearchGroup& search;
  int32_t n;
  double top;
  double least, most;
  /** The twin's sums of weights and of weighted x: pairs added, then their sums in order. */
  double sumW, sumX;

  explicit Group(const SearchGroup& of)
      : search(of), n(of.fit.n), top(of.form.most), least(0), most(0), sumW(0), sumX(0) {
    findRange();
    sumPairs();
  }

 private:
  void findRange();
  void sumPairs();
};

/** A line through (code, weight) and what it takes off sum(w x x). */
struct Line {
  double scale, minimum, gain;
};

void Group::findRange() {
  const float* x = search.fit.x;
  float low = x[0], high = x[0];
  for (int32_t i = 1; i < n; i++) {
    if (x[i] < low) {
      low = x[i];
    } else if (x[i] > high) {
      high = x[i];
    }
  }
  least = low;
  most = high;
}

void Group::sumPairs() {
  const float* x = search.fit.x;
  const float* w = search.fit.weights;
  const auto weighted = [&](int32_t i) { return static_cast<double>(w[i]) * x[i]; };
  int32_t i = 0;
  for (; i + 1 < n; i += 2) {
    sumW += static_cast<double>(w[i]) + static_cast<double>(w[i + 1]);
    sumX += weighted(i) + weighted(i + 1);
  }
  if (i < n) {
    sumW += w[i];
    sumX += weighted(i);
  }
}

/** The least-squares line of one candidate, from its sums. */
Line lineOf(const Group& group, double inverse, double minimum, double xq, double q, double qq) {
  const double spread = group.sumW * qq - q * q;
  if (spread <= 0) return {1 / inverse, minimum, -std::numeric_limits<double>::infinity()};
  const double scale = (group.sumW * xq - group.sumX * q) / spread;
  const double offset = (group.sumX - scale * q) / group.sumW;
  return {scale, offset, scale * xq + offset * group.sumX};
}

/** Lines of `count` candidates; both arrays have room up to a multiple of kFitLanes. */
void fitLines(const Group& group, double* inverses, double* minima, int count, Line* lines) {
  double xq[kMaxCandidates], q[kMaxCandidates], qq[kMaxCandidates];
  const int filled = fillLanes(inverses, count);
  fillLanes(minima, count);
  group.search.kernels.fitSums(group.search.fit, inverses, minima, filled, xq, q, qq);
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

/** Scales and minima as they are stored, to be compared by their errors. */
struct Rounded {
  double scales[3 * kFitLanes], minima[3 * kFitLanes];
  int count = 0;

  void add(double scale, double minimum) {
    scales[count] = scale;
    minima[count] = minimum;
    if (std::isfinite(scale) && std::isfinite(minimum)) count++;
  }
};

/** The first of the least errors; false where no candidate was finite. */
bool leastError(const SearchGroup& group, Rounded* tried, Fit* best) {
  if (tried->count == 0) return false;
  double inverses[3 * kFitLanes], errors[3 * kFitLanes];
  const int filled = fillLanes(tried->scales, tried->count);
  fillLanes(tried->minima, tried->count);
  for (int i = 0; i < filled; i++) inverses[i] = inverseOf(tried->scales[i]);
  group.kernels.fitErrors(group.fit, inverses, tried->scales, tried->minima, filled, false, errors);
  int first = 0;
  for (int i = 1; i < tried->count; i++) {
    if (errors[i] < errors[first]) first = i;
  }
  *best = {tried->scales[first], tried->minima[first]};
  return true;
}

}  // namespace

bool fitAsymmetric(const SearchGroup& search, Fit* best) {
  const Group group(search);
  // Zeros keep their sign, as Math.min(least, 0) and Math.max(most, 0) have it.
  const double lowest = group.least > 0 ? 0 : group.least, highest = group.most > 0 ? group.most : 0;
  Rounded tried;
  const auto add = [&](double scale, double minimum) { tried.add(search.stored(scale), search.stored(minimum)); };
  add((group.most - group.least) / group.top, group.least);
  add((highest - lowest) / group.top, lowest);
  if (group.most > group.least) {
    Line wanted = searchFit(group);
    for (int round = 0; round <= kRefits; round++) {
      add(wanted.scale, wanted.minimum);
      if (round < kRefits) wanted = refit(group, wanted);
    }
  }
  return leastError(search, &tried, best);
}

void snapAsymmetric(const SearchGroup& group, double rowScale, double rowMinimum, Fit* best) {
  constexpr double kSteps[] = {0, -1, 1};
  const double scale = nearestLevel(best->scale * inverseOf(rowScale), -127, 127);
  const double minimum = nearestLevel(best->minimum * inverseOf(rowMinimum), -127, 127);
  Rounded tried;
  for (const double i : kSteps) {
    for (const double j : kSteps) {
      tried.add(nearestLevel(scale + i, -127, 127) * rowScale, nearestLevel(minimum + j, -127, 127) * rowMinimum);
    }
  }
  leastError(group, &tried, best);
}

}  // namespace offline
}  // namespace layerwise
