// The error that quantized weights make in a matrix's outputs: the fast twin of src/maths/plain/hessian-error.ts.
#include "offline.h"
#include "panels.h"

namespace layerwise {
namespace offline {
namespace {

/** Rows whose products are in memory at a time: as many as gemm takes with one packing of the gram. */
constexpr int64_t kRows = 1536;

}  // namespace

double hessianError(const Machine& on, const HessianError& call) {
  const int64_t rows = call.rows, cols = call.cols;
  const int64_t band = least(rows, kRows);
  const Scratch<float> differences(band * cols), products(band * cols);
  double sum = 0;
  for (int64_t first = 0; first < rows && !on.aborted(); first += band) {
    const int64_t count = least(band, rows - first) * cols;
    float* d = differences.data();
    for (int64_t i = 0; i < count; i++) d[i] = call.w[first * cols + i] - call.values[first * cols + i];
    gemm(on, {count / cols, cols, cols, d, call.gram, products.data()});
    for (int64_t i = 0; i < count; i++) sum += static_cast<double>(d[i]) * products.data()[i];
  }
  return sum / static_cast<double>(rows);
}

}  // namespace offline
}  // namespace layerwise
