// Tiles (or chunks of columns) are dealt out to the threads; which thread takes which changes no result.
#include "products.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "aligned-buffer.h"

namespace layerwise {

namespace {

/** Rows at a time: bounds the scratch, and keeps the activations of a part in the second-level cache. */
constexpr int32_t kRowsAtATime = 128;
/** Tiles of a part: enough work to hide the counter, few enough that threads end together. */
constexpr int64_t kTileGrain = 2;
/** Chunks of 32 columns of a part of the transposed product. */
constexpr int64_t kChunkGrain = 2;

/** A panel for each thread of the pool. */
class Panels {
 public:
  explicit Panels(int threads) : floats_(static_cast<size_t>(threads) * kPanelFloats) {}
  float* of(const Worker& worker) { return floats_.data() + static_cast<size_t>(worker.index) * kPanelFloats; }

 private:
  AlignedBuffer<float> floats_;
};

/** Quantized rows with room for `rows` rows of `chunks` chunks. */
struct Quantized {
  Quantized(int64_t chunks, int32_t rows)
      : levels(static_cast<size_t>(chunks) * rows * kChunkCols),
        scales(static_cast<size_t>(chunks) * rows),
        sums(static_cast<size_t>(chunks) * rows),
        view{levels.data(), scales.data(), sums.data(), rows} {}

  AlignedBuffer<int8_t> levels;
  AlignedBuffer<float> scales;
  AlignedBuffer<int32_t> sums;
  QuantizedRows view;
};

/** Larger than the last-level caches of most machines, so that each pass reads memory. */
constexpr int kBandwidthPasses = 5;
constexpr int64_t kReadGrain = 1 << 20;

}  // namespace

void product(const DeviceKernels& kernels, ThreadPool& pool, const PackedMatrix& w, const float* x, int32_t rows,
             float* y) {
  Panels panels(pool.threads());
  for (int32_t from = 0; from < rows; from += kRowsAtATime) {
    const int32_t count = std::min(kRowsAtATime, rows - from);
    const float* const input = x + static_cast<int64_t>(from) * w.cols;
    float* const output = y + static_cast<int64_t>(from) * w.rows;
    pool.run([&](Worker& worker) {
      worker.forParts(w.tiles, kTileGrain, [&](int64_t tileFrom, int64_t tileTo) {
        kernels.floatProduct(w, static_cast<int32_t>(tileFrom), static_cast<int32_t>(tileTo), input, w.cols, count,
                             output, w.rows, panels.of(worker));
      });
    });
  }
}

void productTransposed(const DeviceKernels& kernels, ThreadPool& pool, const PackedMatrix& w, const float* dy,
                       int32_t rows, float* dx) {
  Panels panels(pool.threads());
  // The float kinds count no chunks of levels, but columns are dealt out in chunks all the same.
  const int64_t chunks = (static_cast<int64_t>(w.cols) + kChunkCols - 1) / kChunkCols;
  for (int32_t from = 0; from < rows; from += kRowsAtATime) {
    const int32_t count = std::min(kRowsAtATime, rows - from);
    const float* const input = dy + static_cast<int64_t>(from) * w.rows;
    float* const output = dx + static_cast<int64_t>(from) * w.cols;
    pool.run([&](Worker& worker) {
      worker.forParts(chunks, kChunkGrain, [&](int64_t chunkFrom, int64_t chunkTo) {
        kernels.floatProductTransposed(w, static_cast<int32_t>(chunkFrom), static_cast<int32_t>(chunkTo), input, w.rows,
                                       count, output, w.cols, panels.of(worker));
      });
    });
  }
}

void productInt8(const DeviceKernels& kernels, ThreadPool& pool, const PackedMatrix& w, const float* x, int32_t rows,
                 float* y) {
  Quantized quantized(w.chunks, std::min(rows, kRowsAtATime));
  for (int32_t from = 0; from < rows; from += kRowsAtATime) {
    const int32_t count = std::min(kRowsAtATime, rows - from);
    kernels.quantizeRows(x + static_cast<int64_t>(from) * w.cols, w.cols, count, w.cols, quantized.view);
    float* const output = y + static_cast<int64_t>(from) * w.rows;
    pool.run([&](Worker& worker) {
      worker.forParts(w.tiles, kTileGrain, [&](int64_t tileFrom, int64_t tileTo) {
        kernels.integerProduct(w, static_cast<int32_t>(tileFrom), static_cast<int32_t>(tileTo), quantized.view, count,
                               output, w.rows);
      });
    });
  }
}

double readBandwidth(const DeviceKernels& kernels, ThreadPool& pool, int64_t bytes) {
  AlignedBuffer<uint8_t> memory(static_cast<size_t>(bytes));
  // Written first: pages that were never written are all the same zero page.
  pool.run([&](Worker& worker) {
    worker.forParts(bytes, kReadGrain,
                    [&](int64_t from, int64_t to) { std::fill(memory.data() + from, memory.data() + to, 1); });
  });
  std::atomic<uint64_t> sum{0};
  double best = 0;
  for (int pass = 0; pass < kBandwidthPasses; pass++) {
    const auto start = std::chrono::steady_clock::now();
    pool.run([&](Worker& worker) {
      uint64_t own = 0;
      worker.forParts(bytes, kReadGrain,
                      [&](int64_t from, int64_t to) { own += kernels.readBytes(memory.data() + from, to - from); });
      sum += own;
    });
    const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
    best = std::max(best, static_cast<double>(bytes) / seconds.count());
  }
  return best;
}

int32_t wholeRows(const Path& path, int64_t length, int64_t cols) {
  constexpr int64_t kMostRows = 1 << 26;
  if (length > 0 && length % cols == 0 && length / cols <= kMostRows) return static_cast<int32_t>(length / cols);
  refuse(path, "expected whole rows of " + std::to_string(cols) + " elements, found " + std::to_string(length) +
                   " elements");
}

}  // namespace layerwise
