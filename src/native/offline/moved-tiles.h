// Which rows of a band have moved in which columns, a few rows at a time: for refine.cpp. Late in a refinement most
// steps are zero, and rows that moved as a whole lie among rows of which a code or two did.
#pragma once
#include <cstdint>
#include <vector>

#include "panels.h"

namespace layerwise {
namespace offline {

/** Rows that take the same columns' steps, as subtractChosen wants them. */
struct MovedTile {
  int32_t rows[kTileHeight];
  int32_t count;
  /** Columns in which any of the rows has moved: `columns` [depth] of the stretch, and the steps [depth][6]. */
  int64_t depth;
  const int32_t* columns;
  const double* steps;
};

/** The tiles of a stretch of columns, block after block. */
class MovedTiles {
 public:
  /** Room for so many rows in blocks of `blockCols` columns, `cols` together. */
  MovedTiles(int64_t rows, int64_t blockCols, int64_t cols);

  /** Where the steps of row r in the next block are to be written, before it is added. */
  double* stepsOf(int64_t r) { return given_.data() + r * cols_; }
  /** Forgets all tiles. */
  void clear();
  /** Adds a block of n columns, the first of them column `first` of the stretch, from the steps of rows [0, rows). */
  void add(int64_t rows, int64_t first, int64_t n);

  const std::vector<MovedTile>& tiles() const { return tiles_; }

 private:
  void addTile(const int32_t* rows, int64_t count, int64_t first, int64_t n);

  int64_t cols_;
  Scratch<double> given_;     // [rows][cols]
  Scratch<double> steps_;     // of all tiles, one after the other
  Scratch<int32_t> columns_;  // likewise
  Scratch<int32_t> order_;    // [rows]
  Scratch<int32_t> moved_;    // [rows]: columns in which a row has moved
  int64_t used_ = 0;
  std::vector<MovedTile> tiles_;
};

}  // namespace offline
}  // namespace layerwise
