// Products of packed matrices with rows of activations, in parts that threads take: y = W x + bias + factor * B (A x).
#pragma once
#include <algorithm>

#include "model.h"
#include "thread-pool.h"

namespace layerwise {

/** Rows as products read them. */
struct ProductInput {
  /** [rows, cols], ldx apart */
  const float* x = nullptr;
  int64_t ldx = 0;
  /** The same as levels; levels.levels null: every product takes the floats. */
  QuantizedRows levels = {nullptr, nullptr, nullptr, 0};
  int32_t rows = 0;
};

/** One product: y[r * ldy + i], i a row of the matrix. */
struct Product {
  const Linear* linear = nullptr;
  float* y = nullptr;
  int64_t ldy = 0;
  /** A low-rank addition or null, with its A x, [rows, rank], ldLow apart. */
  const LowRank* lowRank = nullptr;
  const float* low = nullptr;
  int64_t ldLow = 0;
};

/** Rows [rowFrom, rowTo) of the activations and tiles [tileFrom, tileTo) of a matrix. */
struct Part {
  int32_t tileFrom, tileTo;
  int32_t rowFrom, rowTo;
};

/** Room of one thread: for floatProduct's panel, and for a part's low-rank sum. */
struct ProductRoom {
  float* panel;  // [kPanelFloats]
  float* low;    // [kChunkRows * kLowTiles * kTileRows]
};

/** Tiles whose low-rank additions are summed at a time. */
constexpr int kLowTiles = 4;

/** Computes one part of a product. Any split into parts gives the same bits. */
void productPart(const DeviceKernels& kernels, const Product& product, const ProductInput& input, const Part& part,
                 const ProductRoom& room);

/**
 * Adds columns of y's rows, times `factor`, to x's: the part of a residual connection that belongs to `part`. cols: the
 * rows of the matrix.
 */
void addPart(const DeviceKernels& kernels, float* x, int64_t ldx, const float* y, int64_t ldy, int32_t cols,
             float factor, const Part& part);

/**
 * How the work of a stage is cut: an item is one unit (so many tiles) for a block of rows, a part at most `most` items.
 */
struct Cut {
  int32_t units;
  int32_t rows;
  int32_t rowsPerBlock;
  int64_t items;
  int64_t most;
  /** Parts are multiples of this many items, as far as there are. */
  int64_t step;
};

/**
 * Cuts `units` units of `unitTiles` tiles and `unitBytes` bytes of weights each, multiplied with `rows` rows, for
 * `threads` threads: the weights of a part stay in the second-level cache while all rows pass over them, and rows are
 * cut only where there are too few units for the threads.
 */
Cut cutOf(int32_t units, int32_t unitTiles, int64_t unitBytes, int32_t rows, int threads);

/** Calls work(unitFrom, unitTo, rowFrom, rowTo) for the parts of a cut, over all threads; no barrier at the end. */
template <class Work>
void forCut(Worker& worker, const Cut& cut, Work work) {
  worker.forShrinkingParts(cut.items, cut.most, cut.step, [&](int64_t from, int64_t to) {
    while (from < to) {
      const int32_t block = static_cast<int32_t>(from / cut.units);
      const int32_t first = static_cast<int32_t>(from % cut.units);
      const int32_t end = static_cast<int32_t>(std::min<int64_t>(cut.units, first + (to - from)));
      const int32_t row = block * cut.rowsPerBlock;
      work(first, end, row, std::min(cut.rows, row + cut.rowsPerBlock));
      from += end - first;
    }
  });
}

/** The rows from `row` on, and the chunks from `chunk` on. */
QuantizedRows levelsFrom(const QuantizedRows& levels, int32_t chunk, int32_t row);

/**
 * Asks for the first lines of a tile. Called before a wait or other work, it hides what memory takes to answer when a
 * product begins there; within its stream the product asks ahead by itself.
 */
void prefetchTile(const PackedMatrix& matrix, int64_t tile);

/** The same for the tile that this thread's share of a cut of `units` units begins with, `unitTiles` tiles each. */
inline void prefetchShare(const Worker& worker, const PackedMatrix& matrix, int32_t units, int32_t unitTiles) {
  prefetchTile(matrix, worker.firstItem(units) * unitTiles);
}

}  // namespace layerwise
