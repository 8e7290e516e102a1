// X^T X, for the Hessians of error-compensating quantizers: only tiles that reach the lower triangle are computed.
#include "offline.h"
#include "panels.h"

namespace layerwise {
namespace offline {
namespace {

/**
 * Rows of x that are summed in f32 before they join h: bounds the error of long sums, and fits the first-level cache.
 */
constexpr int64_t kDepth = 256;
/** Side of the square that a thread takes: a multiple of both sides of a tile. */
constexpr int64_t kPart = 96;
/** Side of the squares that are mirrored. */
constexpr int64_t kMirror = 64;

class GramTiles {
 public:
  GramTiles(const Machine& on, const Gram& call)
      : on_(on),
        x_(call.x),
        rows_(call.rows),
        cols_(call.cols),
        factor_(call.factor),
        h_(call.h),
        a_(ceilDiv(cols_, kTileHeight) * kTileHeight * kDepth),
        b_(ceilDiv(cols_, kFloatWidth) * kFloatWidth * kDepth) {}

  void run(Worker& me) {
    for (int64_t row = 0; row < rows_; row += kDepth) {
      const int64_t depths = least(kDepth, rows_ - row);
      if (me.index == 0) stop_ = on_.aborted();
      pack<kTileHeight>(me, row, depths, a_.data());
      pack<kFloatWidth>(me, row, depths, b_.data());
      me.barrier();
      if (stop_) return;
      const int64_t side = ceilDiv(cols_, kPart);
      me.forParts(side * side, 1, [&](int64_t from, int64_t to) {
        // Numbered from the last row of parts, which has the most: threads then end at about the same time.
        for (int64_t part = from; part < to; part++) {
          addPart(depths, (side - 1 - part / side) * kPart, part % side * kPart);
        }
      });
      me.barrier();
    }
    mirror(me);
  }

 private:
  template <int WIDTH>
  void pack(Worker& me, int64_t row, int64_t depths, float* out) {
    me.forParts(ceilDiv(cols_, WIDTH), 16, [&](int64_t from, int64_t to) {
      for (int64_t first = from * WIDTH; first < least(to * WIDTH, cols_); first += WIDTH) {
        const Strided<float> columns = {x_ + row * cols_ + first, 1, cols_};
        packPanel<WIDTH>(columns, least(WIDTH, cols_ - first), depths, out + first * depths);
      }
    });
  }

  void addPart(int64_t depths, int64_t rowFrom, int64_t colFrom) {
    const int64_t rowTo = least(cols_, rowFrom + kPart), colTo = least(cols_, colFrom + kPart);
    for (int64_t j = colFrom; j < colTo; j += kFloatWidth) {
      for (int64_t i = rowFrom; i < rowTo; i += kTileHeight) {
        if (i + kTileHeight > j) addTile(depths, i, j);
      }
    }
  }

  void addTile(int64_t depths, int64_t i, int64_t j) {
    float sums[kTileHeight * kFloatWidth];
    const int32_t height = static_cast<int32_t>(least(kTileHeight, cols_ - i));
    const int32_t width = static_cast<int32_t>(least(kFloatWidth, cols_ - j));
    on_.kernels.gemmTile(depths, a_.data() + i * depths, b_.data() + j * depths, sums, kFloatWidth, height, width,
                         false);
    for (int r = 0; r < height; r++) {
      // Up to the diagonal; what lies beyond is the mirror's.
      const int64_t count = least(width, i + r + 1 - j);
      if (count > 0) on_.device.addScaled(h_ + (i + r) * cols_ + j, sums + r * kFloatWidth, factor_, count);
    }
  }

  void mirror(Worker& me) {
    const int64_t side = ceilDiv(cols_, kMirror);
    me.forParts(side * side, 4, [&](int64_t from, int64_t to) {
      for (int64_t part = from; part < to; part++) {
        const int64_t i = part / side * kMirror, j = part % side * kMirror;
        if (i >= j) mirrorPart(i, j);
      }
    });
  }

  void mirrorPart(int64_t rowFrom, int64_t colFrom) {
    for (int64_t i = rowFrom; i < least(cols_, rowFrom + kMirror); i++) {
      for (int64_t j = colFrom; j < least(i, colFrom + kMirror); j++) h_[j * cols_ + i] = h_[i * cols_ + j];
    }
  }

  const Machine& on_;
  const float* x_;
  const int64_t rows_, cols_;
  const float factor_;
  float* h_;
  Scratch<float> a_, b_;
  bool stop_ = false;
};

}  // namespace

void accumulateGram(const Machine& on, const Gram& call) {
  GramTiles gram(on, call);
  on.pool.run([&](Worker& me) { gram.run(me); });
}

}  // namespace offline
}  // namespace layerwise
