// Tables of cosines and sines: one for each distinct rotary embedding, kept from pass to pass.
#include "rope.h"

#include <cmath>

namespace layerwise {

namespace {

/** More than any model has: a context that serves many models must not collect theirs. */
constexpr size_t kMostTables = 16;

bool sameRope(const Rope& a, const Rope& b) {
  return a.dims == b.dims && a.originalMaxPositions == b.originalMaxPositions &&
         a.attentionFactor == b.attentionFactor && a.inverseFrequencies == b.inverseFrequencies &&
         a.longInverseFrequencies == b.longInverseFrequencies;
}

/** longrope: past originalMaxPositions all positions of a sequence use the long factors. */
bool usesLongFactors(const Rope& rope, const Span& span) {
  const int64_t total =
      span.cache != nullptr ? span.cache->reservedTokens : static_cast<int64_t>(span.position) + span.count;
  return !rope.longInverseFrequencies.empty() && total > rope.originalMaxPositions;
}

}  // namespace

void RopeTables::prepare(const Model& model, const Pass& pass) {
  if (tables_.size() > kMostTables) tables_.clear();
  for (Table& table : tables_) table.current = false;
  tableOfBlock_.assign(model.blocks.size(), -1);
  for (int32_t i = pass.from; i < pass.to; i++) {
    const Block& block = model.blocks[static_cast<size_t>(i)];
    if (!block.hasAttention || block.attention.rope.dims == 0) continue;
    const int32_t index = tableOf(block.attention.rope);
    Table& table = tables_[static_cast<size_t>(index)];
    if (!table.current && !covers(table, pass.spans)) fill(table, pass.spans);
    table.current = true;
    tableOfBlock_[static_cast<size_t>(i)] = index;
  }
}

RopeRow RopeTables::row(int32_t block, int32_t span, int32_t position) const {
  const int32_t index = tableOfBlock_[static_cast<size_t>(block)];
  if (index < 0) return {};
  const Table& table = tables_[static_cast<size_t>(index)];
  const Range& range = table.ranges[static_cast<size_t>(span)];
  const size_t at =
      static_cast<size_t>(range.firstRow + (position - range.position)) * static_cast<size_t>(table.rope.dims / 2);
  return {table.cos.data() + at, table.sin.data() + at};
}

int64_t RopeTables::bytes() const {
  size_t floats = 0;
  for (const Table& table : tables_) floats += table.cos.capacity() + table.sin.capacity();
  return static_cast<int64_t>(floats * sizeof(float));
}

int32_t RopeTables::tableOf(const Rope& rope) {
  for (size_t i = 0; i < tables_.size(); i++) {
    if (sameRope(tables_[i].rope, rope)) return static_cast<int32_t>(i);
  }
  tables_.emplace_back();
  tables_.back().rope = rope;
  return static_cast<int32_t>(tables_.size() - 1);
}

/** True where the table was filled for the same positions: passes over one block after another. */
bool RopeTables::covers(const Table& table, const std::vector<Span>& spans) {
  if (table.ranges.size() != spans.size()) return false;
  for (size_t i = 0; i < spans.size(); i++) {
    const Range& range = table.ranges[i];
    if (range.position != spans[i].position || range.count != spans[i].count) return false;
    if (range.longFactors != usesLongFactors(table.rope, spans[i])) return false;
  }
  return true;
}

void RopeTables::fill(Table& table, const std::vector<Span>& spans) {
  const Rope& rope = table.rope;
  const auto pairs = static_cast<size_t>(rope.dims / 2);
  table.ranges.clear();
  table.cos.clear();
  table.sin.clear();
  int64_t rows = 0;
  for (const Span& span : spans) {
    Range range = {span.position, span.count, usesLongFactors(rope, span), rows};
    bool found = false;
    // Sequences of one batch often have the same positions.
    for (size_t i = 0; i < table.ranges.size() && !found; i++) {
      const Range& earlier = table.ranges[i];
      found = earlier.longFactors == range.longFactors && earlier.position <= range.position &&
              earlier.position + earlier.count >= range.position + range.count;
      if (found) range.firstRow = earlier.firstRow + (range.position - earlier.position);
    }
    if (!found) rows += span.count;
    table.cos.resize(static_cast<size_t>(rows) * pairs);
    table.sin.resize(static_cast<size_t>(rows) * pairs);
    // Last of what may fail: a table with all its ranges is whole.
    table.ranges.push_back(range);
    if (found) continue;
    const std::vector<double>& frequencies = range.longFactors ? rope.longInverseFrequencies : rope.inverseFrequencies;
    for (int32_t r = 0; r < span.count; r++) {
      const size_t at = static_cast<size_t>(range.firstRow + r) * pairs;
      for (size_t i = 0; i < pairs; i++) {
        const double angle = static_cast<double>(span.position + r) * frequencies[i];
        table.cos[at + i] = static_cast<float>(rope.attentionFactor * std::cos(angle));
        table.sin[at + i] = static_cast<float>(rope.attentionFactor * std::sin(angle));
      }
    }
  }
}

}  // namespace layerwise
