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

void RefineBlock::start(int32_t columns) {
  n = columns;
  ld = (columns + 3) / 4 * 4;
  std::fill_n(h, n * ld, 0.0);
  std::fill_n(diagonal, ld, 1.0);
}

void RefineBlock::sumUp() {
  total = 0;
  for (int32_t i = 0; i < n; i++) {
    diagonal[i] = h[i * ld + i];
    rowSums[i] = 0;
    for (int32_t j = 0; j < n; j++) rowSums[i] += h[i * ld + j];
    total += rowSums[i];
  }
}

double StoredScale::nearest(double wanted) const {
  return step == 0 ? roundToF16(wanted) : nearestLevel(wanted * inverseOf(step), -127, 127) * step;
}

void RowBlock::load(const RefineBlock& block, const uint8_t* codes, const double* gradients) {
  std::copy_n(gradients, block.n, gradient);
  for (int32_t i = 0; i < block.n; i++) {
    levels[i] = block.form->levelOf(codes[i]);
    values[i] = valueOf(*block.form, levels[i]);
  }
  for (int32_t i = block.n; i < block.ld; i++) levels[i] = values[i] = gradient[i] = 0;
}

bool RowBlock::sweep(const RefineBlock& block) {
  const LevelForm& form = *block.form;
  return block.kernels->sweepLevels({block.n, block.ld, block.h, block.diagonal, form.least, form.most, form.nearest(),
                                     scale, inverseOf(scale), minimum, form.asymmetric, block.zerosStay, values,
                                     gradient, levels});
}

bool RowBlock::refit(const RefineBlock& block, const StoredScale& scales, const StoredScale& minima) {
  const LevelForm& form = *block.form;
  const int32_t n = block.n;
  double product[kBlockCols];
  block.kernels->levelProduct(n, block.ld, block.h, levels, product);
  // The slope and the curvature along the scale, along the minimum (offset), and across.
  double slope = 0, curve = 0, offsetSlope = 0, across = 0;
  for (int32_t i = 0; i < n; i++) {
    slope += gradient[i] * levels[i];
    curve += product[i] * levels[i];
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
    values[i] = valueOf(form, levels[i]);
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
