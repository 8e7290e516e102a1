// Cholesky factorisation in doubles, right-looking by blocks of columns. Every element's subtractions run in the order
// of the plain triple loop, each rounded by itself: the bits are those of the TypeScript twin.
#include <cmath>

#include "offline.h"
#include "panels.h"

namespace layerwise {
namespace offline {
namespace {

/** Columns factored between updates of the rest: a multiple of both sides of a tile. */
constexpr int64_t kBlock = 96;
/** Columns factored by the plain loop inside a block. */
constexpr int64_t kSmall = 24;
/** Rows solved by a thread at a time: the least common multiple of a tile's sides. */
constexpr int64_t kSolveRows = 24;

/** The plain loop, on a few columns. */
bool factorPlain(double* a, int64_t lda, int64_t n) {
  for (int64_t j = 0; j < n; j++) {
    for (int64_t i = j; i < n; i++) {
      double sum = a[i * lda + j];
      for (int64_t p = 0; p < j; p++) sum -= a[i * lda + p] * a[j * lda + p];
      if (i == j) {
        if (!(sum > 0)) return false;
        a[j * lda + j] = std::sqrt(sum);
      } else {
        a[i * lda + j] = sum / a[j * lda + j];
      }
    }
  }
  return true;
}

/**
 * A column block of a lower triangle: its factored square [count, count] at `square`, `below` rows under it, row length
 * lda.
 */
struct ColumnBlock {
  double* square;
  int64_t lda;
  int64_t count;
  int64_t below;

  double* row(int64_t i) const { return square + (count + i) * lda; }
};

/** Solves rows [from, to) under the square, of a multiple of kSolveRows, and leaves them in both kinds of panel. */
void solveRows(const OfflineKernels& kernels, const ColumnBlock& block, int64_t from, int64_t to, double* high,
               double* wide) {
  const int64_t depth = block.count;
  for (int64_t i = from; i < to; i += kDoubleWidth) {
    const int64_t lanes = least(kDoubleWidth, to - i);
    double* x = wide + i * depth;
    packPanel<kDoubleWidth>(Strided<double>{block.row(i), block.lda, 1}, lanes, depth, x);
    kernels.solveTile(static_cast<int32_t>(depth), block.square, block.lda, x);
    for (int64_t lane = 0; lane < lanes; lane++) {
      double* row = block.row(i + lane);
      for (int64_t d = 0; d < depth; d++) row[d] = x[d * kDoubleWidth + lane];
    }
  }
  for (int64_t i = from; i < to; i += kTileHeight) {
    const Strided<double> rows = {block.row(i), block.lda, 1};
    packPanel<kTileHeight>(rows, least(kTileHeight, to - i), depth, high + i * depth);
  }
}

/** Takes the product of the solved rows off a part of the triangle to the right of the block. */
void updatePart(const OfflineKernels& kernels, const ColumnBlock& block, const double* high, const double* wide,
                int64_t rowFrom, int64_t rowTo, int64_t colFrom, int64_t colTo) {
  for (int64_t j = colFrom; j < colTo; j += kDoubleWidth) {
    for (int64_t i = rowFrom; i < rowTo; i += kTileHeight) {
      if (i + kTileHeight <= j) continue;
      kernels.subtractTile(block.count, high + i * block.count, wide + j * block.count, block.row(i) + block.count + j,
                           block.lda, static_cast<int32_t>(least(kTileHeight, rowTo - i)),
                           static_cast<int32_t>(least(kDoubleWidth, colTo - j)));
    }
  }
}

/** Factors a square of up to kBlock columns on the calling thread; high and wide have room for its rows. */
bool factorSquare(const OfflineKernels& kernels, double* a, int64_t lda, int64_t n, double* high, double* wide) {
  for (int64_t k = 0; k < n; k += kSmall) {
    const int64_t count = least(kSmall, n - k);
    const ColumnBlock block = {a + k * lda + k, lda, count, n - k - count};
    if (!factorPlain(block.square, lda, count)) return false;
    solveRows(kernels, block, 0, block.below, high, wide);
    updatePart(kernels, block, high, wide, 0, block.below, 0, block.below);
  }
  return true;
}

class Factorisation {
 public:
  Factorisation(const Machine& on, double* a, int64_t n)
      : on_(on),
        a_(a),
        n_(n),
        high_(ceilDiv(n, kSolveRows) * kSolveRows * kBlock),
        wide_(ceilDiv(n, kSolveRows) * kSolveRows * kBlock) {}

  void run(Worker& me) {
    for (int64_t k = 0; k < n_; k += kBlock) {
      const int64_t count = least(kBlock, n_ - k);
      const ColumnBlock block = {a_ + k * n_ + k, n_, count, n_ - k - count};
      if (me.index == 0) {
        positive_ = positive_ && factorSquare(on_.kernels, block.square, n_, count, high_.data(), wide_.data());
        stop_ = !positive_ || on_.aborted();
      }
      me.barrier();
      if (stop_) return;
      me.forParts(ceilDiv(block.below, kSolveRows), 1, [&](int64_t from, int64_t to) {
        solveRows(on_.kernels, block, from * kSolveRows, least(to * kSolveRows, block.below), high_.data(),
                  wide_.data());
      });
      me.barrier();
      update(me, block);
      me.barrier();
    }
    me.forParts(n_, 64, [&](int64_t from, int64_t to) {
      for (int64_t i = from; i < to; i++) {
        for (int64_t j = i + 1; j < n_; j++) a_[i * n_ + j] = 0;
      }
    });
  }

  bool positive() const { return positive_; }

 private:
  void update(Worker& me, const ColumnBlock& block) {
    const int64_t side = ceilDiv(block.below, kBlock);
    me.forParts(side * side, 1, [&](int64_t from, int64_t to) {
      for (int64_t part = from; part < to; part++) {
        const int64_t i = (side - 1 - part / side) * kBlock, j = part % side * kBlock;
        updatePart(on_.kernels, block, high_.data(), wide_.data(), i, least(i + kBlock, block.below), j,
                   least(j + kBlock, block.below));
      }
    });
  }

  const Machine& on_;
  double* a_;
  const int64_t n_;
  Scratch<double> high_, wide_;
  bool positive_ = true;
  bool stop_ = false;
};

}  // namespace

bool cholesky(const Machine& on, const Square& a) {
  Factorisation factorisation(on, a.a, a.n);
  on.pool.run([&](Worker& me) { factorisation.run(me); });
  return factorisation.positive();
}

}  // namespace offline
}  // namespace layerwise
