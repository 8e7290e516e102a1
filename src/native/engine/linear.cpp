// Parts of products: which kernel, then bias and low-rank additions.
#include "linear.h"

#include "context.h"

namespace layerwise {

namespace {

/** Weights of a part: a share of the second-level cache that leaves room for the rows. */
constexpr int64_t kPartBytes = 64 * 1024;
/** Items a thread should have at least, so that threads end together. */
constexpr int kItemsPerThread = 8;
/** Rows are cut at multiples of this, so that kernels keep their blocks of rows. */
constexpr int kRowStep = 16;
/** Kernels read so many tiles at once where the rows are few: fewer, or a rest, are slower. */
constexpr int kStreamTiles = 4;
/**
 * Decoding SmolLM2 at 4 bits on two threads of a Zen 3, whole blocks: none 3.22 ms, 2 KiB 2.98 in one run; 2 KiB 2.96,
 * 8 KiB 2.75 in another; more is no better. Streams are short there, and cost most where they begin.
 */
constexpr int kPrefetchBytes = 8192;
constexpr int kLineBytes = 64;

/** Tiles [from, to) as a matrix of their own: row 0 is row 16 * from. */
PackedMatrix tilesOf(const PackedMatrix& w, int32_t from, int32_t to) {
  PackedMatrix view = w;
  view.data += from * w.tileStride;
  view.tiles = to - from;
  view.rows = std::min(w.rows, to * kTileRows) - from * kTileRows;
  return view;
}

/** y += factor * B low, a few tiles at a time. */
void addLowRank(const DeviceKernels& kernels, const Product& product, const Part& part, const ProductRoom& room) {
  const PackedMatrix& b = product.lowRank->b;
  const int32_t rows = part.rowTo - part.rowFrom;
  const float* low = product.low + part.rowFrom * product.ldLow;
  for (int32_t tile = part.tileFrom; tile < part.tileTo; tile += kLowTiles) {
    const PackedMatrix view = tilesOf(b, tile, std::min(part.tileTo, tile + kLowTiles));
    constexpr int64_t ld = kLowTiles * kTileRows;
    kernels.floatProduct(view, 0, view.tiles, low, product.ldLow, rows, room.low, ld, room.panel);
    float* y = product.y + part.rowFrom * product.ldy + tile * kTileRows;
    for (int32_t r = 0; r < rows; r++) {
      kernels.addScaled(y + r * product.ldy, room.low + r * ld, product.lowRank->factor, view.rows);
    }
  }
}

}  // namespace

QuantizedRows levelsFrom(const QuantizedRows& levels, int32_t chunk, int32_t row) {
  const int64_t at = static_cast<int64_t>(chunk) * levels.stride + row;
  return {levels.levels + at * kChunkCols, levels.scales + at, levels.sums + at, levels.stride};
}

void productPart(const DeviceKernels& kernels, const Product& product, const ProductInput& input, const Part& part,
                 const ProductRoom& room) {
  const PackedMatrix& w = product.linear->matrix;
  const int32_t rows = part.rowTo - part.rowFrom;
  float* y = product.y + part.rowFrom * product.ldy;
  if (isInteger(w.kind) && input.levels.levels != nullptr) {
    const QuantizedRows levels = levelsFrom(input.levels, 0, part.rowFrom);
    kernels.integerProduct(w, part.tileFrom, part.tileTo, levels, rows, y, product.ldy);
  } else {
    const float* x = input.x + part.rowFrom * input.ldx;
    kernels.floatProduct(w, part.tileFrom, part.tileTo, x, input.ldx, rows, y, product.ldy, room.panel);
  }
  if (product.linear->bias != nullptr) {
    const int32_t first = part.tileFrom * kTileRows;
    const int32_t count = std::min(w.rows, part.tileTo * kTileRows) - first;
    for (int32_t r = 0; r < rows; r++) kernels.add(y + r * product.ldy + first, product.linear->bias + first, count);
  }
  if (product.lowRank != nullptr) addLowRank(kernels, product, part, room);
}

void addPart(const DeviceKernels& kernels, float* x, int64_t ldx, const float* y, int64_t ldy, int32_t cols,
             float factor, const Part& part) {
  const int32_t first = part.tileFrom * kTileRows;
  const int32_t count = std::min(cols, part.tileTo * kTileRows) - first;
  for (int32_t r = part.rowFrom; r < part.rowTo; r++) {
    float* const to = x + r * ldx + first;
    const float* const from = y + r * ldy + first;
    if (factor == 1) {
      kernels.add(to, from, count);
    } else {
      kernels.addScaled(to, from, factor, count);
    }
  }
}

Cut cutOf(int32_t units, int32_t unitTiles, int64_t unitBytes, int32_t rows, int threads) {
  const int64_t wanted = threads > 1 ? static_cast<int64_t>(threads) * kItemsPerThread : 1;
  int32_t blocks = 1;
  if (units < wanted) {
    const int64_t most = std::max(1, rows / kRowStep);
    blocks = static_cast<int32_t>(std::min<int64_t>(most, (wanted + units - 1) / units));
  }
  const int32_t steps = (rows + kRowStep - 1) / kRowStep;
  const int32_t rowsPerBlock = (steps + blocks - 1) / blocks * kRowStep;
  blocks = (rows + rowsPerBlock - 1) / rowsPerBlock;
  const int64_t items = static_cast<int64_t>(units) * blocks;
  // A few rows pass over the weights together, once: nothing needs to stay in the cache.
  const int64_t most = rows > kRowStep ? kPartBytes / std::max<int64_t>(1, unitBytes) : items;
  const int64_t step = rows > kRowStep ? 1 : std::max(1, kStreamTiles / unitTiles);
  return {units, rows, rowsPerBlock, items, std::max<int64_t>(1, most), step};
}

void prefetchTile(const PackedMatrix& matrix, int64_t tile) {
  if (tile >= matrix.tiles) return;
  const uint8_t* from = matrix.data + tile * matrix.tileStride;
  const int64_t bytes = std::min<int64_t>(kPrefetchBytes, (matrix.tiles - tile) * matrix.tileStride);
  for (int64_t at = 0; at < bytes; at += kLineBytes) __builtin_prefetch(from + at);
}

}  // namespace layerwise
