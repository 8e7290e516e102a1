// Lowers the error that a quantized matrix leaves under the gram of its inputs: the twin of src/quantization/refine.ts.
// Rows do not depend on each other: a thread takes a band of them through all blocks of columns, so that a block's
// products with the gram are shared by the band.
#include <algorithm>
#include <memory>
#include <vector>

#include "offline.h"
#include "panels.h"
#include "refine-block.h"

namespace layerwise {
namespace offline {
namespace {

constexpr int64_t kBandRows = 192;
/** Columns taken at a time where a row is one group. */
constexpr int64_t kPartCols = 64;

/** Working memory of one thread. */
struct Band {
  Scratch<double> gradient;  // [rows][cols]
  Scratch<double> steps;     // [rows / 6][block][6]: by how much each value fell
  Scratch<double> gram;      // [block][8]
  std::unique_ptr<RefineBlock> block{new RefineBlock};

  Band(int64_t rows, int64_t cols) : gradient(rows * cols), steps(rows * kBlockCols), gram(kBlockCols * kDoubleWidth) {}
};

class Refinement {
 public:
  Refinement(const Machine& on, const Refine& call)
      : on_(on),
        call_(call),
        form_(call.bits, call.minima != nullptr, false, call.levels),
        groups_(groupsPerRow(call.cols, call.group)),
        wholeGroups_(call.group > 0 && call.group <= kBlockCols),
        blockCols_(wholeGroups_ ? call.group : kPartCols) {}

  /** Rows [first, first + rows). */
  void lower(const Band& band, int64_t first, int64_t rows) const {
    std::fill_n(band.gradient.data(), rows * call_.cols, 0.0);
    std::fill_n(band.steps.data(), ceilDiv(rows, kTileHeight) * kTileHeight * kBlockCols, 0.0);
    for (int64_t col = 0; col < call_.cols && !on_.aborted(); col += blockCols_) {
      const int64_t end = least(call_.cols, col + blockCols_);
      for (int64_t r = 0; r < rows; r++) startRow(band, first, r, col, end);
      update(band, rows, col, end, 0);
    }
    for (int32_t pass = 0; pass < call_.passes; pass++) {
      for (int64_t col = 0; col < call_.cols && !on_.aborted(); col += blockCols_) {
        const int64_t end = least(call_.cols, col + blockCols_);
        fillBlock(band.block.get(), col, end);
        for (int64_t r = 0; r < rows; r++) lowerRow(band, first, r, col, end);
        // The last pass does not come back to columns that it has seen.
        update(band, rows, col, end, pass + 1 == call_.passes ? end : 0);
      }
    }
  }

 private:
  int64_t scaleAt(int64_t row, int64_t col) const { return row * groups_ + (call_.group == 0 ? 0 : col / call_.group); }

  double* stepsOf(const Band& band, int64_t r) const {
    return band.steps.data() + r / kTileHeight * kTileHeight * kBlockCols + r % kTileHeight;
  }

  double gramAt(int64_t row, int64_t col) const {
    const double entry = call_.gram[row * call_.cols + col];
    return row == col ? entry + call_.damping : entry;
  }

  void fillBlock(RefineBlock* block, int64_t col, int64_t end) const {
    const int64_t n = end - col;
    block->form = &form_;
    block->n = static_cast<int32_t>(n);
    block->wholeGroup = wholeGroups_;
    for (int64_t i = 0; i < n; i++) {
      for (int64_t j = 0; j < n; j++) block->h[i * n + j] = gramAt(col + i, col + j);
    }
    block->sumUp();
  }

  void loadRow(RowBlock* state, int64_t row, int64_t col, int64_t end) const {
    const int64_t at = scaleAt(row, col);
    state->scale = call_.scales[at];
    state->minimum = call_.minima ? call_.minima[at] : 0;
    for (int64_t i = col; i < end; i++) {
      const uint8_t code = call_.codes[row * call_.cols + i];
      state->codes[i - col] = code;
      state->values[i - col] = state->valueOf(form_, code);
    }
  }

  /** The steps from the weights to their values. */
  void startRow(const Band& band, int64_t first, int64_t r, int64_t col, int64_t end) const {
    RowBlock state;
    loadRow(&state, first + r, col, end);
    const float* w = call_.w + (first + r) * call_.cols + col;
    double* steps = stepsOf(band, r);
    for (int64_t i = 0; i < end - col; i++) steps[i * kTileHeight] = w[i] - state.values[i];
  }

  void lowerRow(const Band& band, int64_t first, int64_t r, int64_t col, int64_t end) const {
    const int64_t row = first + r, n = end - col;
    double* steps = stepsOf(band, r);
    RowBlock state;
    loadRow(&state, row, col, end);
    double before[kBlockCols];
    std::copy_n(state.values, n, before);
    std::copy_n(band.gradient.data() + r * call_.cols + col, n, state.gradient);
    const StoredScale scales{call_.rowScales ? call_.rowScales[row] : 0};
    const StoredScale minima{call_.rowMinima ? call_.rowMinima[row] : 0};
    if (!state.lower(*band.block, scales, minima)) {
      for (int64_t i = 0; i < n; i++) steps[i * kTileHeight] = 0;
      return;
    }
    for (int64_t i = 0; i < n; i++) steps[i * kTileHeight] = before[i] - state.values[i];
    std::copy_n(state.codes, n, call_.codes + row * call_.cols + col);
    if (!wholeGroups_) return;
    call_.scales[scaleAt(row, col)] = static_cast<float>(state.scale);
    if (call_.minima) call_.minima[scaleAt(row, col)] = static_cast<float>(state.minimum);
  }

  /** Rows [col, end) of the damped gram, columns [j, j + width), as a panel. */
  void fillPanel(double* panel, int64_t col, int64_t end, int64_t j, int64_t width) const {
    for (int64_t i = col; i < end; i++, panel += kDoubleWidth) {
      const float* from = call_.gram + i * call_.cols + j;
      if (width == kDoubleWidth) {
        for (int64_t k = 0; k < kDoubleWidth; k++) panel[k] = from[k];
      } else {
        for (int64_t k = 0; k < kDoubleWidth; k++) panel[k] = k < width ? from[k] : 0;
      }
      if (i >= j && i < j + width) panel[i - j] += call_.damping;
    }
  }

  /** Carries the steps of columns [col, end) over to the gradients of all columns from `from` on. */
  void update(const Band& band, int64_t rows, int64_t col, int64_t end, int64_t from) const {
    const int64_t cols = call_.cols, depth = end - col;
    // Rows of a tile none of which moved: skipped in all panels.
    bool moved[kBandRows / kTileHeight];
    for (int64_t r = 0; r < rows; r += kTileHeight) {
      const double* steps = band.steps.data() + r * kBlockCols;
      moved[r / kTileHeight] = std::any_of(steps, steps + depth * kTileHeight, [](double step) { return step != 0; });
    }
    double* const panel = band.gram.data();
    for (int64_t j = from; j < cols; j += kDoubleWidth) {
      const int64_t width = least(kDoubleWidth, cols - j);
      fillPanel(panel, col, end, j, width);
      for (int64_t r = 0; r < rows; r += kTileHeight) {
        if (!moved[r / kTileHeight]) continue;
        on_.kernels.subtractTile(depth, band.steps.data() + r * kBlockCols, panel, band.gradient.data() + r * cols + j,
                                 cols, static_cast<int32_t>(least(kTileHeight, rows - r)), static_cast<int32_t>(width));
      }
    }
  }

  const Machine& on_;
  const Refine& call_;
  const LevelForm form_;
  const int64_t groups_;
  const bool wholeGroups_;
  const int64_t blockCols_;
};

}  // namespace

void refine(const Machine& on, const Refine& call) {
  if (call.rows == 0 || call.cols == 0 || call.passes == 0) return;
  const int64_t threads = on.pool.threads();
  const int64_t share = ceilDiv(ceilDiv(call.rows, threads * 4), kTileHeight) * kTileHeight;
  const int64_t bandRows = least(kBandRows, share);
  std::vector<std::unique_ptr<Band>> bands;
  for (int64_t t = 0; t < threads; t++) bands.emplace_back(new Band(bandRows, call.cols));
  const Refinement refinement(on, call);
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
