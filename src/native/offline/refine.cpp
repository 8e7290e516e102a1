// Lowers the error that a quantized matrix leaves under the gram of its inputs: the twin of src/maths/plain/refine.ts.
// Rows do not depend on each other: a thread takes a band of them through all blocks of columns, so that a block's
// products with the gram are shared by the band.
#include <algorithm>
#include <memory>
#include <vector>

#include "moved-tiles.h"
#include "offline.h"
#include "panels.h"
#include "refine-block.h"

namespace layerwise {
namespace offline {
namespace {

constexpr int64_t kBandRows = 192;
/** Columns taken at a time where a row is one group. */
constexpr int64_t kPartCols = 64;

/** Panels of the gram that are made at a time: 128 KiB, which stay in the second-level cache while rows pass by. */
constexpr int64_t kPanelDoubles = 16384;

/** Working memory of one thread. */
struct Band {
  Scratch<double> gradient;  // [rows][cols]
  Scratch<double> gram;      // [columns / 8][stretch][8]
  /** By how much each value fell. */
  MovedTiles moved;
  std::unique_ptr<RefineBlock> block{new RefineBlock};

  Band(int64_t rows, int64_t cols, int64_t blockCols)
      : gradient(rows * cols), gram(kPanelDoubles), moved(rows, blockCols, kBlockCols) {}
};

/** Columns [from, to). */
struct Range {
  int64_t from, to;
};

/**
 * Blocks are refined one after the other; a stretch of them leaves its steps together, so that gradients outside of it
 * are read and written once a stretch. Each gradient still takes the steps of all columns in their order.
 */
class Refinement {
 public:
  Refinement(const Machine& on, const Refine& call)
      : on_(on),
        call_(call),
        form_(call.bits, call.minima != nullptr, false, call.levels),
        groups_(groupsPerRow(call.cols, call.group)),
        wholeGroups_(call.group > 0 && call.group <= kBlockCols),
        blockCols_(wholeGroups_ ? call.group : kPartCols),
        stretchCols_(kBlockCols / blockCols_ * blockCols_) {}

  int64_t blockCols() const { return blockCols_; }

  /** Rows [first, first + rows). */
  void lower(Band& band, int64_t first, int64_t rows) const {
    std::fill_n(band.gradient.data(), rows * call_.cols, 0.0);
    eachStretch([&](Range stretch) {
      eachBlock(stretch, [&](Range block) {
        for (int64_t r = 0; r < rows; r++) {
          startRow(first + r, block, band.moved.stepsOf(r) + (block.from - stretch.from));
        }
      });
      band.moved.clear();
      band.moved.add(rows, 0, stretch.to - stretch.from);
      update(band, 0, stretch, stretch, {0, call_.cols});
    });
    for (int32_t pass = 0; pass < call_.passes; pass++) {
      // The last pass does not come back to columns that it has seen.
      const bool last = pass + 1 == call_.passes;
      eachStretch([&](Range stretch) {
        band.moved.clear();
        eachBlock(stretch, [&](Range block) {
          fillBlock(band.block.get(), block);
          for (int64_t r = 0; r < rows; r++) lowerRow(band, first, r, block);
          const size_t known = band.moved.tiles().size();
          band.moved.add(rows, block.from - stretch.from, block.to - block.from);
          update(band, known, stretch, block, {last ? block.to : stretch.from, stretch.to});
        });
        if (!last) update(band, 0, stretch, stretch, {0, stretch.from});
        update(band, 0, stretch, stretch, {stretch.to, call_.cols});
      });
    }
  }

 private:
  int64_t scaleAt(int64_t row, int64_t col) const { return row * groups_ + (call_.group == 0 ? 0 : col / call_.group); }

  template <class Visit>
  void eachStretch(const Visit& visit) const {
    for (int64_t col = 0; col < call_.cols && !on_.aborted(); col += stretchCols_) {
      visit(Range{col, least(call_.cols, col + stretchCols_)});
    }
  }

  template <class Visit>
  void eachBlock(Range stretch, const Visit& visit) const {
    for (int64_t col = stretch.from; col < stretch.to; col += blockCols_) {
      visit(Range{col, least(stretch.to, col + blockCols_)});
    }
  }

  double gramAt(int64_t row, int64_t col) const {
    const double entry = call_.gram[row * call_.cols + col];
    return row == col ? entry + call_.damping : entry;
  }

  void fillBlock(RefineBlock* block, Range at) const {
    const int64_t n = at.to - at.from;
    block->kernels = &on_.kernels;
    block->form = &form_;
    block->wholeGroup = wholeGroups_;
    block->zerosStay = call_.zerosStay;
    block->start(static_cast<int32_t>(n));
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j++) block->h[i * block->ld + j] = gramAt(at.from + i, at.from + j);
    }
    block->sumUp();
  }

  void loadScale(RowBlock* state, int64_t row, Range at) const {
    const int64_t scale = scaleAt(row, at.from);
    state->scale = call_.scales[scale];
    state->minimum = call_.minima ? call_.minima[scale] : 0;
  }

  /** The steps from the weights of a row to their values. */
  void startRow(int64_t row, Range at, double* steps) const {
    RowBlock state;
    loadScale(&state, row, at);
    const float* w = call_.w + row * call_.cols + at.from;
    const uint8_t* codes = call_.codes + row * call_.cols + at.from;
    for (int64_t i = 0; i < at.to - at.from; i++) steps[i] = w[i] - state.valueOf(form_, form_.levelOf(codes[i]));
  }

  void lowerRow(Band& band, int64_t first, int64_t r, Range at) const {
    const int64_t row = first + r, n = at.to - at.from;
    double* steps = band.moved.stepsOf(r);
    uint8_t* codes = call_.codes + row * call_.cols + at.from;
    RowBlock state;
    loadScale(&state, row, at);
    state.load(*band.block, codes, band.gradient.data() + r * call_.cols + at.from);
    std::copy_n(state.values, n, steps);
    const StoredScale scales{call_.rowScales ? call_.rowScales[row] : 0};
    const StoredScale minima{call_.rowMinima ? call_.rowMinima[row] : 0};
    if (!state.lower(*band.block, scales, minima)) {
      std::fill_n(steps, n, 0.0);
      return;
    }
    for (int64_t i = 0; i < n; i++) {
      steps[i] -= state.values[i];
      codes[i] = form_.codeOf(state.levels[i]);
    }
    if (!wholeGroups_) return;
    call_.scales[scaleAt(row, at.from)] = static_cast<float>(state.scale);
    if (call_.minima) call_.minima[scaleAt(row, at.from)] = static_cast<float>(state.minimum);
  }

  /**
   * Rows `at` of the damped gram, columns `part`, as panels that begin `panelDoubles` apart. Row by row: the gram is
   * larger than caches.
   */
  void fillPanels(double* panels, int64_t panelDoubles, Range at, Range part) const {
    for (int64_t i = at.from; i < at.to; i++, panels += kDoubleWidth) {
      const float* __restrict from = call_.gram + i * call_.cols;
      double* __restrict to = panels;
      int64_t j = part.from;
      for (; j + kDoubleWidth <= part.to; j += kDoubleWidth, to += panelDoubles) {
        for (int64_t k = 0; k < kDoubleWidth; k++) to[k] = from[j + k];
      }
      for (int64_t k = 0; j < part.to && k < kDoubleWidth; k++) to[k] = j + k < part.to ? from[j + k] : 0;
      const int64_t diagonal = i - part.from;
      if (diagonal < 0 || i >= part.to) continue;
      panels[diagonal / kDoubleWidth * panelDoubles + diagonal % kDoubleWidth] += call_.damping;
    }
  }

  /**
   * Carries the steps of the tiles from `tile` on, which are of columns `at` of the stretch, over to the gradients of
   * columns `to`.
   */
  void update(const Band& band, size_t tile, Range stretch, Range at, Range to) const {
    const std::vector<MovedTile>& tiles = band.moved.tiles();
    if (tile == tiles.size()) return;
    const int64_t panelDoubles = (stretch.to - stretch.from) * kDoubleWidth;
    const int64_t partCols = most(1, kPanelDoubles / panelDoubles) * kDoubleWidth;
    for (int64_t col = to.from; col < to.to; col += partCols) {
      const Range part = {col, least(to.to, col + partCols)};
      fillPanels(band.gram.data() + (at.from - stretch.from) * kDoubleWidth, panelDoubles, at, part);
      for (size_t t = tile; t < tiles.size(); t++) subtract(band, tiles[t], part, panelDoubles);
    }
  }

  /** Along the rows, so that their next columns are fetched ahead. */
  void subtract(const Band& band, const MovedTile& tile, Range part, int64_t panelDoubles) const {
    double* rows[kTileHeight] = {};
    for (int32_t k = 0; k < tile.count; k++) rows[k] = band.gradient.data() + tile.rows[k] * call_.cols + part.from;
    const double* panel = band.gram.data();
    for (int64_t j = part.from; j < part.to; j += kDoubleWidth, panel += panelDoubles) {
      on_.kernels.subtractChosen(tile.depth, tile.steps, tile.columns, panel, rows, tile.count,
                                 static_cast<int32_t>(least(kDoubleWidth, part.to - j)));
      for (int32_t k = 0; k < tile.count; k++) rows[k] += kDoubleWidth;
    }
  }

  const Machine& on_;
  const Refine& call_;
  const LevelForm form_;
  const int64_t groups_;
  const bool wholeGroups_;
  const int64_t blockCols_, stretchCols_;
};

}  // namespace

void refine(const Machine& on, const Refine& call) {
  if (call.rows == 0 || call.cols == 0 || call.passes == 0) return;
  const int64_t threads = on.pool.threads();
  const int64_t share = ceilDiv(ceilDiv(call.rows, threads * 4), kTileHeight) * kTileHeight;
  const int64_t bandRows = least(kBandRows, share);
  const Refinement refinement(on, call);
  std::vector<std::unique_ptr<Band>> bands;
  for (int64_t t = 0; t < threads; t++) bands.emplace_back(new Band(bandRows, call.cols, refinement.blockCols()));
  on.pool.run([&](Worker& me) {
    me.forParts(ceilDiv(call.rows, bandRows), 1, [&](int64_t from, int64_t to) {
      for (int64_t band = from; band < to; band++) {
        const int64_t first = band * bandRows;
        refinement.lower(*bands[static_cast<size_t>(me.index)], first, least(bandRows, call.rows - first));
      }
    });
  });
}

}  // namespace offline
}  // namespace layerwise
