// f32 matrix product: both operands are packed into panels, a block of each at a time, and multiplied tile by tile. A
// tile's sums are carried on over the depth in order, so that neither blocks nor threads show in the result.
#include "offline.h"
#include "panels.h"

namespace layerwise {
namespace offline {
namespace {

/** Depth of a panel: 16 KiB of b, which stay in the first-level cache while tiles of a pass by. */
constexpr int64_t kDepth = 256;
/** Rows of a packed at a time, 1.5 MiB, and columns of b, 4 MiB: both in the last-level cache. */
constexpr int64_t kRows = 1536, kCols = 4096;
/** What a thread takes: 96 KiB of a, in the second-level cache, times 8 panels of b. */
constexpr int64_t kPartRows = 96, kPartCols = 128;

/** Rows [row, row + rows) x columns [col, col + cols) x depths [depth, …) of the product. */
struct Region {
  int64_t row, rows, col, cols, depth, depths;
};

class Product {
 public:
  Product(const Machine& on, const Gemm& call)
      : on_(on),
        call_(call),
        rows_(strided(call.a, call.stepA(), !call.transposedA)),
        cols_(strided(call.b, call.stepB(), call.transposedB)),
        a_(ceilDiv(least(call.m, kRows), kTileHeight) * kTileHeight * kDepth),
        b_(ceilDiv(least(call.n, kCols), kFloatWidth) * kFloatWidth * kDepth) {}

  void run(Worker& me) {
    for (int64_t col = 0; col < call_.n; col += kCols) {
      for (int64_t depth = 0; depth < call_.k; depth += kDepth) {
        for (int64_t row = 0; row < call_.m; row += kRows) {
          const Region region = {row, least(kRows, call_.m - row), col, least(kCols, call_.n - col),
                                 depth, least(kDepth, call_.k - depth)};
          if (me.index == 0) stop_ = on_.aborted();
          if (row == 0) packColumns(me, region);
          packRows(me, region);
          me.barrier();
          if (stop_) return;
          multiply(me, region);
          me.barrier();
        }
      }
    }
  }

 private:
  /** An operand whose stored rows are its lanes, or its depths. */
  static Strided<float> strided(const float* data, int64_t step, bool rowsAreLanes) {
    return rowsAreLanes ? Strided<float>{data, step, 1} : Strided<float>{data, 1, step};
  }

  void packRows(Worker& me, const Region& at) {
    me.forParts(ceilDiv(at.rows, kTileHeight), 16, [&](int64_t from, int64_t to) {
      for (int64_t panel = from; panel < to; panel++) {
        const int64_t first = panel * kTileHeight;
        packPanel<kTileHeight>(rows_.at(at.row + first, at.depth), least(kTileHeight, at.rows - first), at.depths,
                               a_.data() + first * at.depths);
      }
    });
  }

  void packColumns(Worker& me, const Region& at) {
    me.forParts(ceilDiv(at.cols, kFloatWidth), 8, [&](int64_t from, int64_t to) {
      for (int64_t panel = from; panel < to; panel++) {
        const int64_t first = panel * kFloatWidth;
        packPanel<kFloatWidth>(cols_.at(at.col + first, at.depth), least(kFloatWidth, at.cols - first), at.depths,
                               b_.data() + first * at.depths);
      }
    });
  }

  void multiply(Worker& me, const Region& at) {
    const int64_t down = ceilDiv(at.rows, kPartRows), across = ceilDiv(at.cols, kPartCols);
    me.forParts(down * across, 1, [&](int64_t from, int64_t to) {
      for (int64_t part = from; part < to; part++) multiplyPart(at, part % down * kPartRows, part / down * kPartCols);
    });
  }

  void multiplyPart(const Region& at, int64_t rowFrom, int64_t colFrom) {
    const int64_t rowTo = least(at.rows, rowFrom + kPartRows), colTo = least(at.cols, colFrom + kPartCols);
    for (int64_t j = colFrom; j < colTo; j += kFloatWidth) {
      for (int64_t i = rowFrom; i < rowTo; i += kTileHeight) {
        on_.kernels.gemmTile(at.depths, a_.data() + i * at.depths, b_.data() + j * at.depths,
                             call_.c + (at.row + i) * call_.stepC() + at.col + j, call_.stepC(),
                             static_cast<int32_t>(least(kTileHeight, rowTo - i)),
                             static_cast<int32_t>(least(kFloatWidth, colTo - j)), call_.accumulate || at.depth > 0);
      }
    }
  }

  const Machine& on_;
  const Gemm& call_;
  const Strided<float> rows_, cols_;
  Scratch<float> a_, b_;
  /** Decided by one thread before a barrier, obeyed by all after it. */
  bool stop_ = false;
};

}  // namespace

void gemm(const Machine& on, const Gemm& call) {
  Product product(on, call);
  on.pool.run([&](Worker& me) { product.run(me); });
}

}  // namespace offline
}  // namespace layerwise
