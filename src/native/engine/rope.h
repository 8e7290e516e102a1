// Cosines and sines of the rotary embedding for the rows of a pass: made once a pass, used by every block.
#pragma once
#include <cstdint>
#include <vector>

#include "context.h"

namespace layerwise {

/** What kernels.rotate takes for one row: [dims / 2] each; null where the block has no rotary embedding. */
struct RopeRow {
  const float* cos = nullptr;
  const float* sin = nullptr;
};

/**
 * One table for each distinct rotary embedding of the blocks that a pass runs, computed in double and rounded to f32 as
 * src/model/rope.ts does. A pass over the same positions as the one before finds its tables ready; nothing is allocated
 * once warm.
 */
class RopeTables {
 public:
  /** One thread, before the job: makes what blocks [pass.from, pass.to) need for the pass's positions. */
  void prepare(const Model& model, const Pass& pass);
  /** The row of `position` in a span of the prepared pass. Any thread. */
  RopeRow row(int32_t block, int32_t span, int32_t position) const;
  int64_t bytes() const;

 private:
  /** Positions of a span, and the factors that its sequence uses. */
  struct Range {
    int32_t position = 0;
    int32_t count = 0;
    bool longFactors = false;
    /** Where the first position's row is in the table. */
    int64_t firstRow = 0;
  };
  struct Table {
    Rope rope;
    std::vector<Range> ranges;  // one a span
    std::vector<float> cos, sin;
    bool current = false;
  };

  int32_t tableOf(const Rope& rope);
  static void fill(Table& table, const std::vector<Span>& spans);
  static bool covers(const Table& table, const std::vector<Span>& spans);

  std::vector<Table> tables_;
  /** Per block of the model: its table, or -1. */
  std::vector<int32_t> tableOfBlock_;
};

}  // namespace layerwise
