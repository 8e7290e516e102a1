#include "moved-tiles.h"

namespace layerwise {
namespace offline {
namespace {

/** A row that moved in more than one column of so many is taken for one that moved in all. */
constexpr int64_t kFewOf = 4;

}  // namespace

MovedTiles::MovedTiles(int64_t rows, int64_t blockCols, int64_t cols)
    : cols_(cols),
      given_(rows * cols),
      steps_(ceilDiv(rows, kTileHeight) * kTileHeight * cols),
      columns_(ceilDiv(rows, kTileHeight) * cols),
      order_(rows),
      moved_(rows) {
  tiles_.reserve(static_cast<size_t>(ceilDiv(rows, kTileHeight) * ceilDiv(cols, blockCols)));
}

void MovedTiles::clear() {
  tiles_.clear();
  used_ = 0;
}

void MovedTiles::add(int64_t rows, int64_t first, int64_t n) {
  int32_t* const order = order_.data();
  int64_t count = 0;
  for (int64_t r = 0; r < rows; r++) {
    const double* steps = stepsOf(r);
    int32_t moved = 0;
    for (int64_t i = 0; i < n; i++) moved += steps[i] != 0 ? 1 : 0;
    moved_.data()[r] = moved;
    if (moved * kFewOf > n) order[count++] = static_cast<int32_t>(r);
  }
  // Rows with few steps come last: beside each other they have few columns together.
  for (int64_t r = 0; r < rows; r++) {
    const int32_t moved = moved_.data()[r];
    if (moved > 0 && moved * kFewOf <= n) order[count++] = static_cast<int32_t>(r);
  }
  for (int64_t at = 0; at < count; at += kTileHeight) addTile(order + at, least(kTileHeight, count - at), first, n);
}

void MovedTiles::addTile(const int32_t* rows, int64_t count, int64_t first, int64_t n) {
  MovedTile tile;
  tile.count = static_cast<int32_t>(count);
  tile.depth = 0;
  double* steps = steps_.data() + used_ * kTileHeight;
  int32_t* columns = columns_.data() + used_;
  tile.steps = steps;
  tile.columns = columns;
  for (int64_t k = 0; k < count; k++) tile.rows[k] = rows[k];
  for (int64_t i = 0; i < n; i++) {
    bool any = false;
    for (int64_t k = 0; k < kTileHeight; k++) {
      steps[k] = k < count ? stepsOf(rows[k])[i] : 0;
      any = any || steps[k] != 0;
    }
    if (!any) continue;
    *columns++ = static_cast<int32_t>(first + i);
    steps += kTileHeight;
    tile.depth++;
  }
  used_ += tile.depth;
  tiles_.push_back(tile);
}

}  // namespace offline
}  // namespace layerwise
