// One row's codes and scale in one block of columns, moved to lower its error: for refine.cpp. The twin of
// src/quantization/refine-block.ts, which has the reasons, sum for sum.
#pragma once
#include "level-table.h"

namespace layerwise {
namespace offline {

/** Columns of a block at most: groups are up to 128, of whole rows 64 columns are taken at a time. */
constexpr int kBlockCols = 128;

/** What all rows of a block share. */
struct RefineBlock {
  const LevelForm* form;
  int32_t n;
  /** False: the block is a part of its group, and the scale stays. */
  bool wholeGroup;
  double h[kBlockCols * kBlockCols];  // [n, n] of the damped gram
  double rowSums[kBlockCols];         // of h
  double total;                       // of rowSums

  /** Sums up h, which is filled. */
  void sumUp();
};

/** What numbers a scale may be. */
struct StoredScale {
  /** 0: f16; else multiples of it up to 127 */
  double step;

  double nearest(double wanted) const;
};

/** One row in one block. */
struct RowBlock {
  double values[kBlockCols];
  double gradient[kBlockCols];  // (values - w) H
  uint8_t codes[kBlockCols];
  double scale, minimum;

  /** Moves codes, scale and minimum as long as the error falls; false where nothing moved. */
  bool lower(const RefineBlock& block, const StoredScale& scales, const StoredScale& minima);

  double valueOf(const LevelForm& form, uint8_t code) const {
    const double product = scale * form.levelOf(code);
    return form.asymmetric ? product + minimum : product;
  }

 private:
  bool sweep(const RefineBlock& block);
  bool refit(const RefineBlock& block, const StoredScale& scales, const StoredScale& minima);
};

}  // namespace offline
}  // namespace layerwise
