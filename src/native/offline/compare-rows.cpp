// Rows of logits compared: the fast twin of src/maths/plain/row-distribution.ts.
#include <cmath>

#include "offline.h"

namespace layerwise {
namespace offline {
namespace {

/**
 * KL = sum p (ln p - ln q) = ln sum p e^d - sum p d for d = ln q - ln p but for a constant, p = u / U. For near rows
 * both parts are small and nearly the same: ln(1 + (slope + excess) / U) keeps their difference, about excess / U, to
 * f32's precision.
 */
double divergenceOf(const RowSums& s, double shiftError) {
  const double slope = s.slope / s.referenceMass, growth = slope + s.excess / s.referenceMass;
  if (std::fabs(growth) < 0.5) return std::log1p(growth) - slope;
  return std::log(s.mass / s.referenceMass) + shiftError - slope;
}

void compareRow(const OfflineKernels& kernels, const RowComparison& call, int64_t row) {
  const float* logits = call.logits + row * call.vocab;
  const float* reference = call.reference ? call.reference + row * call.vocab : nullptr;
  RowSums sums;
  kernels.sumLogits(reference, logits, call.vocab, &sums);
  const double most = static_cast<double>(logits[sums.largest]);
  call.logSumExps[row] = most + std::log(sums.mass);
  call.argmaxes[row] = static_cast<int32_t>(sums.largest);
  if (!reference) return;
  const double referenceMost = static_cast<double>(reference[sums.referenceLargest]);
  call.referenceLogSumExps[row] = referenceMost + std::log(sums.referenceMass);
  call.referenceArgmaxes[row] = static_cast<int32_t>(sums.referenceLargest);
  call.divergences[row] = divergenceOf(sums, most - referenceMost - static_cast<double>(sums.shift));
  call.ranks[row] = static_cast<int32_t>(sums.ahead);
}

}  // namespace

void compareRows(const Machine& on, const RowComparison& call) {
  on.pool.run([&](Worker& me) {
    me.forParts(call.rows, 1, [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to && !on.aborted(); row++) compareRow(on.kernels, call, row);
    });
  });
}

}  // namespace offline
}  // namespace layerwise
