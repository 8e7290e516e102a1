// GPTQ's column loop (arXiv 2210.17323): rows do not depend on each other, so a thread takes a band of them through
// all columns. Each element's subtractions run in column order, each rounded by itself, whatever the blocks. Where only
// some levels are kept, which ones is chosen on the way (SparseGPT, arXiv 2301.00774).
#include <algorithm>
#include <vector>

#include "level-table.h"
#include "offline.h"
#include "panels.h"

namespace layerwise {
namespace offline {
namespace {

/** Columns quantized between updates of the rest of their block. */
constexpr int64_t kStep = 16;
/** Rows of a band at most: its updates share each packed part of u. A multiple of a tile's height. */
constexpr int64_t kBandRows = 192;

/** Working memory of one thread. */
struct Band {
  Scratch<double> w;       // [rows][cols], columns in order
  Scratch<double> errors;  // [rows / 6][block][6]
  Scratch<double> u;       // [block][8]
  Scratch<uint32_t> kept;  // [rows], of the run of columns at hand: a bit for each whose level is kept

  Band(int64_t rows, int64_t cols, int64_t block)
      : w(rows * cols), errors(rows * block), u(block * kDoubleWidth), kept(rows) {}
};

/** Columns [from, to). */
struct Range {
  int64_t from, to;
};

class Columns {
 public:
  Columns(const Machine& on, const Gptq& call, int64_t block)
      : on_(on), call_(call), block_(block),
        groups_(groupsPerRow(call.cols, call.group)), form_(call.bits, call.minima != nullptr, false, call.levels) {}

  /** Quantizes rows [first, first + rows). */
  void quantize(const Band& band, int64_t first, int64_t rows) const {
    const int64_t cols = call_.cols;
    for (int64_t r = 0; r < rows; r++) {
      const float* from = call_.w + (first + r) * cols;
      for (int64_t i = 0; i < cols; i++) band.w.data()[r * cols + i] = from[call_.order[i]];
    }
    // Rows that fill the last panel up have no errors.
    std::fill_n(band.errors.data(), ceilDiv(rows, kTileHeight) * kTileHeight * block_, 0.0);
    for (int64_t col = 0; col < cols && !on_.aborted(); col += block_) {
      const int64_t end = least(cols, col + block_);
      for (int64_t step = col; step < end; step += kStep) {
        const int64_t stepEnd = least(end, step + kStep);
        for (int64_t r = 0; r < rows; r += kTileHeight) quantizeStep(band, first, r, rows, col, {step, stepEnd});
        update(band, rows, col, step, stepEnd, stepEnd, end);
      }
      update(band, rows, col, col, end, end, cols);
    }
  }

 private:
  /**
   * A few columns of the rows of a tile, from row r on; `col` is the first column of their block. A column waits for
   * the one before it: rows side by side do not wait for each other.
   */
  void quantizeStep(const Band& band, int64_t first, int64_t r, int64_t rows, int64_t col, Range step) const {
    const int64_t cols = call_.cols, count = least(kTileHeight, rows - r);
    double* const errors = band.errors.data() + r * block_;
    for (int64_t i = step.from; i < step.to; i++) {
      const double* u = call_.u + i * cols;
      for (int64_t k = 0; k < count; k++) {
        double* w = band.w.data() + (r + k) * cols;
        const double error = (w[i] - valueOf(band, first, r + k, i, w)) / u[i];
        for (int64_t j = i + 1; j < step.to; j++) w[j] -= error * u[j];
        errors[(i - col) * kTileHeight + k] = error;
      }
    }
  }

  /** What the i-th column of a row of the band becomes; `w` are the row's weights. */
  double valueOf(const Band& band, int64_t first, int64_t r, int64_t i, const double* w) const {
    const int64_t col = call_.order[i];
    if (call_.keptOf == 0) return choose(first + r, col, w[i]);
    const int64_t place = i % call_.keptOf;
    uint32_t& kept = band.kept.data()[r];
    if (place == 0) kept = chooseKept(w, i, least(call_.cols, i + call_.keptOf));
    if ((kept >> place & 1) != 0) return choose(first + r, col, w[i]);
    call_.codes[(first + r) * call_.cols + col] = static_cast<uint8_t>(1 << (call_.bits - 1));
    call_.w[(first + r) * call_.cols + col] = 0;
    return 0;
  }

  /** Of columns [from, to) those of the largest w^2 / u_jj^2, the first of equals first. */
  uint32_t chooseKept(const double* w, int64_t from, int64_t to) const {
    double scores[kChunkCols];
    for (int64_t i = from; i < to; i++) {
      const double ratio = w[i] / call_.u[i * call_.cols + i];
      scores[i - from] = ratio * ratio;
    }
    uint32_t kept = 0;
    for (int64_t i = 0; i < to - from; i++) {
      int before = 0;
      for (int64_t j = 0; j < to - from; j++) {
        before += scores[j] > scores[i] || (scores[j] == scores[i] && j < i);
      }
      if (before < call_.keptCount) kept |= uint32_t{1} << i;
    }
    return kept;
  }

  /** Quantizes weight x of that row and original column; returns what it has become. */
  double choose(int64_t row, int64_t col, double x) const {
    const int64_t group = row * groups_ + (call_.group == 0 ? 0 : col / call_.group);
    const double scale = call_.scales[group], minimum = call_.minima ? call_.minima[group] : 0;
    const uint8_t code = form_.codeOf((x - minimum) * inverseOf(scale));
    const double product = scale * form_.levelOf(code);
    const double value = call_.minima ? product + minimum : product;
    call_.codes[row * call_.cols + col] = code;
    call_.w[row * call_.cols + col] = static_cast<float>(value);
    return value;
  }

  /** Takes the errors of columns [from, to) off columns [first, last) of all rows; `col` is the first of the block. */
  void update(const Band& band, int64_t rows, int64_t col, int64_t from, int64_t to, int64_t first,
              int64_t last) const {
    const int64_t cols = call_.cols;
    for (int64_t j = first; j < last; j += kDoubleWidth) {
      const int64_t width = least(kDoubleWidth, last - j);
      packPanel<kDoubleWidth>(Strided<double>{call_.u + from * cols + j, 1, cols}, width, to - from, band.u.data());
      for (int64_t r = 0; r < rows; r += kTileHeight) {
        on_.kernels.subtractTile(to - from, band.errors.data() + r * block_ + (from - col) * kTileHeight, band.u.data(),
                                 band.w.data() + r * cols + j, cols, static_cast<int32_t>(least(kTileHeight, rows - r)),
                                 static_cast<int32_t>(width));
      }
    }
  }

  const Machine& on_;
  const Gptq& call_;
  const int64_t block_, groups_;
  const LevelForm form_;
};

/** Rows of a band: several for each thread, whole panels. */
int64_t bandRowsFor(int64_t rows, int64_t threads) {
  const int64_t share = ceilDiv(rows, threads * 4);
  return least(kBandRows, ceilDiv(share, kTileHeight) * kTileHeight);
}

}  // namespace

void gptq(const Machine& on, const Gptq& call) {
  if (call.rows == 0 || call.cols == 0) return;
  const int64_t threads = on.pool.threads();
  // Runs of columns of which some are kept lie within a block: all their columns are up to date.
  const int64_t run = most(1, call.keptOf);
  const int64_t bandRows = bandRowsFor(call.rows, threads);
  const int64_t block = ceilDiv(most(1, least(call.blockCols, call.cols)), run) * run;
  std::vector<Band> bands;
  bands.reserve(static_cast<size_t>(threads));
  for (int64_t t = 0; t < threads; t++) bands.emplace_back(bandRows, call.cols, block);
  const Columns columns(on, call, block);
  on.pool.run([&](Worker& me) {
    me.forParts(ceilDiv(call.rows, bandRows), 1, [&](int64_t from, int64_t to) {
      for (int64_t band = from; band < to; band++) {
        const int64_t first = band * bandRows;
        columns.quantize(bands[static_cast<size_t>(me.index)], first, least(bandRows, call.rows - first));
      }
    });
  });
}

}  // namespace offline
}  // namespace layerwise
