// L^-1 by forward substitution on the columns of the identity, in squares: X_I = L_II^-1 (I - sum over K < I of L_IK
// X_K).
#include "factor-inverse.h"

#include <algorithm>

namespace layerwise {
namespace offline {
namespace {

int64_t panelDoubles(int64_t n) {
  const int64_t panels = ceilDiv(n, kDoubleWidth);
  return (panels * n - kDoubleWidth * (panels * (panels - 1) / 2)) * kDoubleWidth;
}

}  // namespace

FactorInverse::FactorInverse(const Machine& on, const double* l, int64_t n)
    : on_(on), l_(l), n_(n), x_(panelDoubles(n)), high_(on.pool.threads() * kSquare * kSquare) {}

bool FactorInverse::compute(Worker& me) {
  if (me.index == 0) stop_ = on_.aborted();
  me.barrier();
  if (stop_) return false;
  me.forParts(ceilDiv(n_, kSquare), 1, [&](int64_t from, int64_t to) {
    for (int64_t part = from; part < to && !on_.aborted(); part++) {
      computeColumns(part * kSquare, least(n_, (part + 1) * kSquare), high_.data() + me.index * kSquare * kSquare);
    }
  });
  // The flag may have been set for some threads' last parts only: one of them decides for all.
  me.barrier();
  if (me.index == 0) stop_ = on_.aborted();
  me.barrier();
  return !stop_;
}

void FactorInverse::computeColumns(int64_t colFrom, int64_t colTo, double* high) {
  for (int64_t col = colFrom; col < colTo; col += kDoubleWidth) {
    double* panel = panelRow(col, col);
    for (int64_t i = 0; i < (n_ - col) * kDoubleWidth; i++) panel[i] = 0;
    for (int64_t i = 0; i < least(kDoubleWidth, n_ - col); i++) panel[i * kDoubleWidth + i] = 1;
  }
  for (int64_t row = colFrom; row < n_; row += kSquare) {
    const int64_t rows = least(kSquare, n_ - row);
    for (int64_t k = colFrom; k < row; k += kSquare) {
      for (int64_t i = 0; i < rows; i += kTileHeight) {
        packPanel<kTileHeight>(Strided<double>{l_ + (row + i) * n_ + k, n_, 1}, least(kTileHeight, rows - i), kSquare,
                               high + i * kSquare);
      }
      for (int64_t col = colFrom; col < colTo; col += kDoubleWidth) {
        // Above the diagonal X is zero and not stored.
        const int64_t from = most(k, col);
        for (int64_t i = 0; i < rows; i += kTileHeight) {
          const double* factors = high + i * kSquare + (from - k) * kTileHeight;
          on_.kernels.subtractTile(k + kSquare - from, factors, panelRow(col, from), panelRow(col, row + i),
                                   kDoubleWidth, static_cast<int32_t>(least(kTileHeight, rows - i)), kDoubleWidth);
        }
      }
    }
    for (int64_t col = colFrom; col < colTo; col += kDoubleWidth) {
      const int64_t from = most(row, col);
      if (from >= row + rows) continue;
      on_.kernels.solveTile(static_cast<int32_t>(row + rows - from), l_ + from * n_ + from, n_, panelRow(col, from));
    }
  }
}

bool inverseUpperFactor(const Machine& on, const Square& square) {
  const auto [h, n] = square;
  // With J the reversal of rows and columns and J h J = L L^T: h^-1 = (J L^-1 J)^T (J L^-1 J), and J L^-1 J is upper.
  std::reverse(h, h + n * n);
  if (!cholesky(on, square)) return false;
  if (on.aborted()) return true;
  FactorInverse x(on, h, n);
  on.pool.run([&](Worker& me) {
    if (!x.compute(me)) return;
    me.forParts(n, 16, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; i++) {
        for (int64_t j = 0; j < n; j++) h[i * n + j] = j <= i ? x.at(i, j) : 0;
      }
    });
  });
  std::reverse(h, h + n * n);
  return true;
}

}  // namespace offline
}  // namespace layerwise
