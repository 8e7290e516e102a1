#include "refine-block.h"

#include <algorithm>
#include <cmath>

namespace layerwise {
namespace offline {
namespace {

/** Sweeps over the columns between two fits of the scale at most. */
constexpr int kSweeps = 4;
/** Fits of the scale. */
constexpr int kFits = 3;

}  // namespace

void RefineBlock::sumUp() {
  total = 0;
  for (int32_t i = 0; i < n; i++) {
    rowSums[i] = 0;
    for (int32_t j = 0; j < n; j++) rowSums[i] += h[i * n + j];
    total += rowSums[i];
  }
}

double StoredScale::nearest(double wanted) const {
  return step == 0 ? roundToF16(wanted) : nearestLevel(wanted * inverseOf(step), -127, 127) * step;
}

bool RowBlock::sweep(const RefineBlock& block) {
  const int32_t n = block.n;
  const double inverse = inverseOf(scale);
  bool moved = false;
  for (int32_t i = 0; i < n; i++) {
    const double* h = block.h + i * n;
    const uint8_t code = block.form->codeOf((values[i] - gradient[i] / h[i] - minimum) * inverse);
    if (code == codes[i]) continue;
    const double value = valueOf(*block.form, code);
    const double step = value - values[i];
    if (!(step * (2 * gradient[i] + step * h[i]) < 0)) continue;
    for (int32_t j = 0; j < n; j++) gradient[j] += step * h[j];
    values[i] = value;
    codes[i] = code;
    moved = true;
  }
  return moved;
}

bool RowBlock::refit(const RefineBlock& block, const StoredScale& scales, const StoredScale& minima) {
  const LevelForm& form = *block.form;
  const int32_t n = block.n;
  double product[kBlockCols];
  std::fill_n(product, n, 0.0);
  for (int32_t i = 0; i < n; i++) {
    const double level = form.levelOf(codes[i]);
    const double* h = block.h + i * n;
    for (int32_t j = 0; j < n; j++) product[j] += level * h[j];
  }
  // The slope and the curvature along the scale, along the minimum (offset), and across.
  double slope = 0, curve = 0, offsetSlope = 0, across = 0;
  for (int32_t i = 0; i < n; i++) {
    const double level = form.levelOf(codes[i]);
    slope += gradient[i] * level;
    curve += product[i] * level;
    offsetSlope += gradient[i];
    across += product[i];
  }
  double wanted = scale - slope / curve, wantedMinimum = minimum;
  if (form.asymmetric) {
    const double determinant = curve * block.total - across * across;
    wanted = scale - (slope * block.total - offsetSlope * across) / determinant;
    wantedMinimum = minimum - (offsetSlope * curve - slope * across) / determinant;
  }
  const double nextMinimum = form.asymmetric ? minima.nearest(wantedMinimum) : minimum;
  const double next = scales.nearest(wanted);
  const double step = next - scale, offset = nextMinimum - minimum;
  const double change = 2 * (step * slope + offset * offsetSlope) + step * step * curve + 2 * step * offset * across +
                        offset * offset * block.total;
  // Also false where a number is infinite or none.
  if (!(change < 0) || !std::isfinite(change)) return false;
  scale = next;
  minimum = nextMinimum;
  for (int32_t i = 0; i < n; i++) {
    gradient[i] += step * product[i];
    if (form.asymmetric) gradient[i] += offset * block.rowSums[i];
    values[i] = valueOf(form, codes[i]);
  }
  return true;
}

bool RowBlock::lower(const RefineBlock& block, const StoredScale& scales, const StoredScale& minima) {
  bool moved = false;
  for (int fit = 0;; fit++) {
    for (int i = 0; i < kSweeps && sweep(block); i++) moved = true;
    if (fit == kFits || !block.wholeGroup || !refit(block, scales, minima)) return moved;
    moved = true;
  }
}

}  // namespace offline
}  // namespace layerwise
