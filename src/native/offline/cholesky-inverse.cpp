// Inverses from Cholesky factors, in doubles: the whole inverse, and the upper factor of the inverse that GPTQ goes by.
#include <algorithm>

#include "factor-inverse.h"

namespace layerwise {
namespace offline {
namespace {

/** X^T X of X = L^-1, square by square into `out`. */
class InverseProduct {
 public:
  InverseProduct(const Machine& on, const FactorInverse& x, double* out)
      : on_(on), x_(x), n_(x.size()), out_(out), high_(on.pool.threads() * kSquare * kSquare) {}

  void run(Worker& me) {
    const int64_t side = ceilDiv(n_, kSquare);
    me.forParts(side * side, 1, [&](int64_t from, int64_t to) {
      for (int64_t part = from; part < to && !on_.aborted(); part++) {
        const int64_t i = part / side * kSquare, j = part % side * kSquare;
        if (i >= j) multiply(i, j, high_.data() + me.index * kSquare * kSquare);
      }
    });
    me.barrier();
    me.forParts(side * side, 4, [&](int64_t from, int64_t to) {
      for (int64_t part = from; part < to; part++) mirror(part / side * kSquare, part % side * kSquare);
    });
  }

 private:
  /** Rows i of the square at (rowFrom, colFrom): sums over p from i on, since X(p, i) is zero above. */
  void multiply(int64_t rowFrom, int64_t colFrom, double* high) {
    const int64_t rowTo = least(n_, rowFrom + kSquare), colTo = least(n_, colFrom + kSquare);
    for (int64_t i = rowFrom; i < rowTo; i++) std::fill(out_ + i * n_ + colFrom, out_ + i * n_ + colTo, 0.0);
    for (int64_t p = rowFrom; p < n_; p += kSquare) {
      const int64_t depth = least(kSquare, n_ - p);
      packNegated(p, depth, rowFrom, rowTo, high);
      for (int64_t j = colFrom; j < colTo; j += kDoubleWidth) {
        const int64_t from = most(p, j);
        for (int64_t i = rowFrom; i < rowTo; i += kTileHeight) {
          if (i + kTileHeight <= j || from >= p + depth) continue;
          on_.kernels.subtractTile(p + depth - from, high + (i - rowFrom) * depth + (from - p) * kTileHeight,
                                   x_.panelRow(j, from), out_ + i * n_ + j, n_,
                                   static_cast<int32_t>(least(kTileHeight, rowTo - i)),
                                   static_cast<int32_t>(least(kDoubleWidth, colTo - j)));
        }
      }
    }
  }

  /** -X(p …, i): the tile kernel subtracts. */
  void packNegated(int64_t p, int64_t depth, int64_t rowFrom, int64_t rowTo, double* out) {
    for (int64_t i = rowFrom; i < rowTo; i += kTileHeight) {
      for (int64_t d = 0; d < depth; d++) {
        for (int64_t lane = i; lane < i + kTileHeight; lane++) {
          const bool stored = lane < rowTo && p + d >= lane;
          *out++ = stored ? -x_.at(p + d, lane) : 0;
        }
      }
    }
  }

  void mirror(int64_t rowFrom, int64_t colFrom) {
    if (rowFrom < colFrom) return;
    for (int64_t i = rowFrom; i < least(n_, rowFrom + kSquare); i++) {
      for (int64_t j = colFrom; j < least(i, colFrom + kSquare); j++) out_[j * n_ + i] = out_[i * n_ + j];
    }
  }

  const Machine& on_;
  const FactorInverse& x_;
  const int64_t n_;
  double* out_;
  Scratch<double> high_;
};

}  // namespace

void choleskyInverse(const Machine& on, double* l, int64_t n) {
  if (n == 0) return;
  FactorInverse x(on, l, n);
  InverseProduct product(on, x, l);
  on.pool.run([&](Worker& me) {
    if (x.compute(me)) product.run(me);
  });
}

bool inverseUpperFactor(const Machine& on, double* h, int64_t n) {
  if (n == 0) return true;
  // With J the reversal of rows and columns and J h J = L L^T: h^-1 = (J L^-1 J)^T (J L^-1 J), and J L^-1 J is upper.
  std::reverse(h, h + n * n);
  if (!cholesky(on, h, n)) return false;
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
