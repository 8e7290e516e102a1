// The inverse of a lower triangle, kept in panels of 8 columns that begin at the diagonal.
#pragma once
#include "offline.h"
#include "panels.h"

namespace layerwise {
namespace offline {

/** Side of the squares in which triangles are worked on: a multiple of both sides of a tile of doubles. */
constexpr int64_t kSquare = 96;

/** X = L^-1: columns [8p, 8p + 8) as a panel [n - 8p][8], rows 8p … n - 1. */
class FactorInverse {
 public:
  FactorInverse(const Machine& on, const double* l, int64_t n);

  /** One thread's part of the work; all threads are done where it returns. False: aborted. */
  bool compute(Worker& me);

  /** Row `row` of the panel that begins with column `col`, a multiple of 8 and at most `row`. */
  double* panelRow(int64_t col, int64_t row) const {
    const int64_t panel = col / kDoubleWidth;
    return x_.data() + (panel * n_ - kDoubleWidth * (panel * (panel - 1) / 2) + row - col) * kDoubleWidth;
  }

  /** X(row, col) for row >= the first column of col's panel. */
  double at(int64_t row, int64_t col) const {
    return panelRow(col / kDoubleWidth * kDoubleWidth, row)[col % kDoubleWidth];
  }

 private:
  void computeColumns(int64_t colFrom, int64_t colTo, double* high);

  const Machine& on_;
  const double* l_;
  const int64_t n_;
  Scratch<double> x_;
  /** Panels of a square of l, for each thread. */
  Scratch<double> high_;
  bool stop_ = false;
};

}  // namespace offline
}  // namespace layerwise
