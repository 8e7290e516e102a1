// How much scratch the blocks of a pass need.
#include "block.h"

namespace layerwise {

namespace {

/** Widest of what the blocks of a pass need, in columns; ranks are sums over the products of one stage. */
struct Widths {
  int32_t input = 0, queries = 0, keys = 0, feedForward = 0;
  int64_t ranks = 0;
};

int64_t rankOf(const LowRank* lowRank) { return lowRank == nullptr ? 0 : lowRank->a.rows; }

void widen(Widths& widths, const Block& block, const BlockLowRanks& low) {
  const auto takeInput = [&](int32_t cols) { widths.input = std::max(widths.input, cols); };
  if (block.hasAttention) {
    takeInput(block.linears[Role::Q].matrix.cols);
    takeInput(block.linears[Role::O].matrix.cols);
    widths.queries = std::max(widths.queries, block.linears[Role::Q].matrix.rows);
    widths.keys = std::max(widths.keys, block.linears[Role::K].matrix.rows);
  }
  if (block.hasMlp) {
    takeInput(block.linears[Role::Up].matrix.cols);
    widths.feedForward = std::max(widths.feedForward, block.linears[Role::Up].matrix.rows);
  }
  int64_t first = 0;
  for (const Role role : {Role::Q, Role::K, Role::V, Role::Gate, Role::Up}) first += rankOf(low[role]);
  widths.ranks = std::max({widths.ranks, first, rankOf(low[Role::O]), rankOf(low[Role::Down])});
}

}  // namespace

void BlockRunner::reserve(const Model& model, int32_t rows, int32_t from, int32_t to, const Adapter* adapter) {
  Widths widths;
  widths.input = model.hiddenSize;
  for (int32_t i = from; i < to; i++) widen(widths, model.blocks[static_cast<size_t>(i)], lowRanksOf(adapter, i));
  inputs_.reserve(rows, widths.input, widths.ranks);
  q_.reserve(rows * paddedCols(widths.queries));
  attended_.reserve(rows * paddedCols(widths.queries));
  k_.reserve(rows * paddedCols(widths.keys));
  v_.reserve(rows * paddedCols(widths.keys));
  gate_.reserve(rows * paddedCols(widths.feedForward));
  up_.reserve(rows * paddedCols(widths.feedForward));
  const int64_t chunks = (static_cast<int64_t>(widths.feedForward) + kChunkCols - 1) / kChunkCols;
  levels_.reserve(rows * chunks * kChunkCols);
  scales_.reserve(rows * chunks);
  sums_.reserve(rows * chunks);
  branch_.reserve(rows * paddedCols(model.hiddenSize));
}

int64_t BlockRunner::scratchBytes() const {
  return inputs_.scratchBytes() + q_.bytes() + k_.bytes() + v_.bytes() + attended_.bytes() + gate_.bytes() +
         up_.bytes() + levels_.bytes() + scales_.bytes() + sums_.bytes() + branch_.bytes();
}

}  // namespace layerwise
