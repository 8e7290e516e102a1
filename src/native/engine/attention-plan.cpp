// What attention needs before it starts: scratch for the pass, and how a chunk is cut into items.
#include <algorithm>
#include <stdexcept>
#include <string>

#include "attention.h"
#include "pass-check.h"

namespace layerwise {

namespace {

/** Queries that share the work of reading a page; more would not fit the caches beside it. */
constexpr int kGroupQueries = 128;
/** With so many groups a thread, threads end together without splitting any. */
constexpr int kGroupsPerThread = 4;
/** Chunks of more rows are not split over segments: they have groups enough, and states would need much room. */
constexpr int kSplitRows = 32;
constexpr int kSegmentPositions = kSegmentPages * kPagePositions;

int32_t pagesFor(int32_t positions) { return (positions + kPagePositions - 1) / kPagePositions; }

/** The most rows of a group. */
int32_t mostGroupRows(const Attention& attention) {
  return std::max(1, kGroupQueries * attention.kvHeads / attention.heads);
}

/** Rows of each group where `rows` of a span follow each other: parts of nearly equal size. */
int32_t groupRows(const Attention& attention, int32_t rows) {
  const int32_t groups = (rows + mostGroupRows(attention) - 1) / mostGroupRows(attention);
  return (rows + groups - 1) / groups;
}

/** The most segments that `rows` consecutive rows up to position `end` see. */
int64_t mostSegments(const Attention& attention, int32_t rows, int64_t end) {
  const int64_t seen =
      attention.window > 0 ? std::min<int64_t>(end, static_cast<int64_t>(attention.window) + rows) : end;
  return std::min((end - 1) / kSegmentPositions + 1, seen / kSegmentPositions + 2);
}

/** Grows by doubling: a context that gets longer asks again and again. */
void reserveDoubled(Scratch<float>& scratch, int64_t floats) {
  const int64_t held = scratch.bytes() / static_cast<int64_t>(sizeof(float));
  if (floats > held) scratch.reserve(std::max(floats, 2 * held));
}

}  // namespace

int32_t firstSeen(const Attention& attention, int32_t position) {
  return attention.window > 0 ? std::max(0, position - attention.window + 1) : 0;
}

int64_t stateFloats(int64_t queries, int32_t headDim) { return (queries * (headDim + 2) + 15) / 16 * 16; }

void AttentionRunner::beginPass(const Model& model, const Pass& pass) {
  model_ = &model;
  pass_ = &pass;
  placeSpans(pass);
  ropes_.prepare(model, pass);
  for (int32_t i = pass.from; i < pass.to; i++) {
    if (!attends(model, pass, i)) continue;
    for (const Span& span : pass.spans) {
      if (span.cache == nullptr || span.cache->holdsWindow(i, attentionOf(i).window)) continue;
      throw std::invalid_argument("the cache no longer holds the window before position " +
                                  std::to_string(span.position) + " in block " + std::to_string(i) +
                                  ": truncate it to 0 and feed the sequence anew");
    }
    reserve(pass, attentionOf(i));
  }
}

/** Which span a row belongs to, and where spans without a cache have their pages. */
void AttentionRunner::placeSpans(const Pass& pass) {
  spanOfRow_.clear();
  firstRowOfSpan_.clear();
  ownPageOfSpan_.clear();
  int64_t ownPages = 0;
  for (const Span& span : pass.spans) {
    firstRowOfSpan_.push_back(static_cast<int32_t>(spanOfRow_.size()));
    spanOfRow_.insert(spanOfRow_.end(), static_cast<size_t>(span.count), static_cast<int32_t>(ownPageOfSpan_.size()));
    ownPageOfSpan_.push_back(ownPages);
    if (span.cache == nullptr) ownPages += pagesFor(span.count);
  }
  ownPageCount_ = ownPages;
}

/** Room for chunks of this pass in a block like this. */
void AttentionRunner::reserve(const Pass& pass, const Attention& a) {
  const int32_t rows = std::min(pass.rows, kChunkRows), heads = a.heads / a.kvHeads;
  const int64_t groupQueries = static_cast<int64_t>(std::min(rows, mostGroupRows(a))) * heads;
  const auto threads = static_cast<int64_t>(threads_.size());
  queries_.reserve(static_cast<int64_t>(rows) * a.heads * a.headDim);
  ownPages_.reserve(ownPageCount_ * PageShape{KvType::F32, a.kvHeads, a.headDim}.bytes());
  for (ThreadScratch& scratch : threads_) {
    scratch.kernel.reserve(attendScratchFloats(a.headDim));
    scratch.key.reserve(a.headDim);
    scratch.state.reserve(2 * stateFloats(groupQueries, a.headDim));
    scratch.visible.reserve(2 * groupQueries);
  }
  const int64_t groups = static_cast<int64_t>(rows) * a.kvHeads;
  groups_.reserve(static_cast<size_t>(groups));
  if (groups > leftCapacity_) {
    left_.reset(new std::atomic<int32_t>[static_cast<size_t>(groups)]);
    leftCapacity_ = groups;
  }
  if (threads == 1) return;
  const int32_t splitRows = std::min(rows, kSplitRows);
  int64_t segments = 0;
  for (const Span& span : pass.spans) {
    segments = std::max(segments, mostSegments(a, splitRows, static_cast<int64_t>(span.position) + span.count));
  }
  // Padding: 16 floats for each of at most kGroupsPerThread groups a thread.
  const int64_t floats =
      stateFloats(static_cast<int64_t>(splitRows) * a.heads, a.headDim) + 16 * kGroupsPerThread * threads;
  if (segments > 1) reserveDoubled(states_, segments * floats);
}

/** Cuts the chunk into groups; splits them over their segments where there are too few of them for the threads. */
void AttentionRunner::plan(const AttentionChunk& chunk, int threads) {
  const Attention& a = attentionOf(chunk.block);
  groups_.clear();
  int32_t longest = 0;
  for (int32_t first = chunk.rowFrom, end = first; first < chunk.rowTo; first = end) {
    const int32_t span = spanOfRow_[static_cast<size_t>(first)];
    const int32_t spanEnd = firstRowOfSpan_[static_cast<size_t>(span)] + pass_->spans[static_cast<size_t>(span)].count;
    end = std::min(chunk.rowTo, spanEnd);
    const int32_t step = groupRows(a, end - first);
    for (int32_t row = first; row < end; row += step) {
      const int32_t rowTo = std::min(end, row + step);
      const int32_t segmentFrom = firstSeen(a, positionOf(row)) / kSegmentPositions;
      const int32_t segmentTo = positionOf(rowTo - 1) / kSegmentPositions + 1;
      longest = std::max(longest, segmentTo - segmentFrom);
      for (int32_t head = 0; head < a.kvHeads; head++)
        groups_.push_back({span, head, row, rowTo, segmentFrom, segmentTo, 0, 0});
    }
  }
  const auto groups = static_cast<int64_t>(groups_.size());
  split_ = threads > 1 && longest > 1 && groups < static_cast<int64_t>(kGroupsPerThread) * threads &&
           chunk.rowTo - chunk.rowFrom <= kSplitRows;
  int64_t items = 0, floats = 0;
  for (size_t i = 0; i < groups_.size(); i++) {
    Group& group = groups_[i];
    const int32_t segments = group.segmentTo - group.segmentFrom;
    group.firstItem = items;
    group.firstState = floats;
    items += split_ ? segments : 1;
    floats +=
        segments * stateFloats(static_cast<int64_t>(group.rowTo - group.rowFrom) * (a.heads / a.kvHeads), a.headDim);
    left_[i].store(segments, std::memory_order_relaxed);
  }
}

int64_t AttentionRunner::scratchBytes() const {
  int64_t bytes = ropes_.bytes() + ownPages_.bytes() + queries_.bytes() + states_.bytes();
  for (const ThreadScratch& scratch : threads_) {
    bytes += scratch.kernel.bytes() + scratch.key.bytes() + scratch.state.bytes() + scratch.visible.bytes();
  }
  return bytes;
}

}  // namespace layerwise
