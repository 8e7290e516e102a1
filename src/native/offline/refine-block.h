// One row's codes and scale in one block of columns, moved to lower its error: for refine.cpp. The twin of
// src/maths/plain/refine-block.ts, which has the reasons, sum for sum.
#pragma once
#include "../kernels/offline-kernels.h"
#include "level-table.h"

namespace layerwise {
namespace offline {

/** Columns of a block at most: groups are up to 128, of whole rows 64 columns are taken at a time. */
constexpr int kBlockCols = 128;

/** What all rows of a block share. */
struct RefineBlock {
  const OfflineKernels* kernels;
  const LevelForm* form;
  int32_t n;
  /** n as kernels take it: a multiple of 4. */
  int32_t ld;
  /** False: the block is a part of its group, and the scale stays. */
  bool wholeGroup;
  /** Whether a level that is 0 is not moved. */
  bool zerosStay;
  double h[kBlockCols * kBlockCols];  // [n][ld] of the damped gram, zero beyond n
  double diagonal[kBlockCols];        // of h, 1 beyond n
  double rowSums[kBlockCols];         // of h
  double total;                       // of rowSums

  /** Makes room for n columns, h all zeros. */
  void start(int32_t columns);
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
  double levels[kBlockCols];
  double scale, minimum;

  /** Takes the row's codes, and its gradients; scale and minimum are there. */
  void load(const RefineBlock& block, const uint8_t* codes, const double* gradients);
  /** Moves levels, scale and minimum as long as the error falls; false where nothing moved. */
  bool lower(const RefineBlock& block, const StoredScale& scales, const StoredScale& minima);

  double valueOf(const LevelForm& form, double level) const {
    const double product = scale * level;
    return form.asymmetric ? product + minimum : product;
  }

 private:
  bool sweep(const RefineBlock& block);
  bool refit(const RefineBlock& block, const StoredScale& scales, const StoredScale& minima);
};

}  // namespace offline
}  // namespace layerwise
