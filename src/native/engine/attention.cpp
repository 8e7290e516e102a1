// Attention in three steps: heads are prepared and stored, the chunk is cut into items, and the items are spread over
// the threads.
#include "attention.h"

#include <algorithm>
#include <cmath>

#include "input-rows.h"

namespace layerwise {

namespace {

/** Rows of a part of prepareHeads: threads that write one page share few of its cache lines. */
constexpr int kPrepareRows = 16;

int32_t groupSize(const Attention& attention) { return attention.heads / attention.kvHeads; }

/** x of a head, [n]: normed into out, or a copy where a norm over all heads has been there before. */
void normHead(const DeviceKernels& kernels, const Norm& norm, const float* x, int32_t n, float* out) {
  static const Norm none;
  applyNorm(kernels, norm.size == n ? norm : none, x, out, n);
}

}  // namespace

AttentionRunner::AttentionRunner(const DeviceKernels& kernels, int threads)
    : kernels_(kernels), threads_(static_cast<size_t>(threads)) {}

int32_t AttentionRunner::positionOf(int32_t row) const {
  const auto span = static_cast<size_t>(spanOfRow_[static_cast<size_t>(row)]);
  return pass_->spans[span].position + (row - firstRowOfSpan_[span]);
}

PageShape AttentionRunner::shapeOf(int32_t span, const Attention& attention) const {
  const KvCache* cache = pass_->spans[static_cast<size_t>(span)].cache;
  return {cache != nullptr ? cache->type : KvType::F32, attention.kvHeads, attention.headDim};
}

uint8_t* AttentionRunner::pageBytes(int32_t span, int32_t block, const PageShape& shape, int32_t page) const {
  const KvCache* cache = pass_->spans[static_cast<size_t>(span)].cache;
  if (cache == nullptr) return ownPages_.data() + (ownPageOfSpan_[static_cast<size_t>(span)] + page) * shape.bytes();
  const BlockPages& held = cache->pages(block);
  return held.pages[static_cast<size_t>(page - held.firstPage)]->bytes.get();
}

float* AttentionRunner::queriesOf(const AttentionChunk& chunk, const Attention& attention, int32_t kvHead,
                                  int32_t row) const {
  const int64_t rows = chunk.rowTo - chunk.rowFrom;
  return queries_.data() + (kvHead * rows + (row - chunk.rowFrom)) * groupSize(attention) * attention.headDim;
}

void AttentionRunner::run(Worker& worker, const AttentionChunk& chunk) {
  if (worker.index == 0) plan(chunk, worker.count);
  prepareHeads(worker, chunk);
  worker.barrier();
  const Group& last = groups_.back();
  const int64_t items = last.firstItem + (split_ ? last.segmentTo - last.segmentFrom : 1);
  const ThreadScratch& scratch = threads_[static_cast<size_t>(worker.index)];
  worker.forParts(items, 1, [&](int64_t from, int64_t to) {
    for (int64_t item = from; item < to; item++) attendItem(chunk, item, scratch);
  });
}

void AttentionRunner::prepareHeads(Worker& worker, const AttentionChunk& chunk) {
  const int32_t rows = chunk.rowTo - chunk.rowFrom;
  float* const key = threads_[static_cast<size_t>(worker.index)].key.data();
  const int64_t items = static_cast<int64_t>(rows) * attentionOf(chunk.block).kvHeads;
  worker.forParts(items, rows < kPrepareRows ? 1 : kPrepareRows, [&](int64_t from, int64_t to) {
    for (int64_t i = from; i < to; i++) {
      prepareHead(chunk, static_cast<int32_t>(i / rows), chunk.rowFrom + static_cast<int32_t>(i % rows), key);
    }
  });
}

/** One row's key/value head, stored, and the queries that share it. `key`: room for a head. */
void AttentionRunner::prepareHead(const AttentionChunk& chunk, int32_t kvHead, int32_t row, float* key) {
  const Attention& a = attentionOf(chunk.block);
  const int32_t span = spanOfRow_[static_cast<size_t>(row)], position = positionOf(row);
  const RopeRow rope = ropes_.row(chunk.block, span, position);
  const int64_t r = row - chunk.rowFrom;
  const int32_t heads = groupSize(a);
  float* query = queriesOf(chunk, a, kvHead, row);
  for (int32_t h = 0; h < heads; h++, query += a.headDim) {
    normHead(kernels_, a.qNorm, chunk.q + r * chunk.qStride + (kvHead * heads + h) * a.headDim, a.headDim, query);
    if (rope.cos != nullptr) kernels_.rotate(query, a.rope.dims, rope.cos, rope.sin);
    kernels_.scale(query, a.scale, a.headDim);
  }
  normHead(kernels_, a.kNorm, chunk.k + r * chunk.kStride + kvHead * a.headDim, a.headDim, key);
  if (rope.cos != nullptr) kernels_.rotate(key, a.rope.dims, rope.cos, rope.sin);
  const PageShape shape = shapeOf(span, a);
  writeHead(kernels_, shape, pageBytes(span, chunk.block, shape, position / kPagePositions), kvHead,
            position % kPagePositions, key, chunk.v + r * chunk.vStride + kvHead * a.headDim);
}

/** One segment of a group where the plan is split, else a whole group. */
void AttentionRunner::attendItem(const AttentionChunk& chunk, int64_t item, const ThreadScratch& scratch) {
  if (!split_) return attendWhole(chunk, groups_[static_cast<size_t>(item)], scratch);
  const auto after = std::upper_bound(groups_.begin(), groups_.end(), item,
                                      [](int64_t value, const Group& group) { return value < group.firstItem; });
  const Group& group = *(after - 1);
  const int32_t segment = group.segmentFrom + static_cast<int32_t>(item - group.firstItem);
  attendSegment(chunk, group, segment, statesOf(chunk, group, states_.data() + group.firstState, segment), scratch);
  // Whoever ends the last segment of a group merges them all.
  if (left_[static_cast<size_t>(&group - groups_.data())].fetch_sub(1, std::memory_order_acq_rel) > 1) return;
  const States first = statesOf(chunk, group, states_.data() + group.firstState, group.segmentFrom);
  for (int32_t s = group.segmentFrom + 1; s < group.segmentTo; s++) {
    merge(chunk, group, first, statesOf(chunk, group, states_.data() + group.firstState, s));
  }
  finish(chunk, group, first);
}

/** All segments of a group in order: the same steps as if they had been split. */
void AttentionRunner::attendWhole(const AttentionChunk& chunk, const Group& group, const ThreadScratch& scratch) {
  const States first = statesOf(chunk, group, scratch.state.data(), group.segmentFrom);
  const States later = statesOf(chunk, group, scratch.state.data(), group.segmentFrom + 1);
  attendSegment(chunk, group, group.segmentFrom, first, scratch);
  for (int32_t s = group.segmentFrom + 1; s < group.segmentTo; s++) {
    attendSegment(chunk, group, s, later, scratch);
    merge(chunk, group, first, later);
  }
  finish(chunk, group, first);
}

AttentionRunner::States AttentionRunner::statesOf(const AttentionChunk& chunk, const Group& group, float* base,
                                                  int32_t segment) const {
  const Attention& a = attentionOf(chunk.block);
  const int64_t count = static_cast<int64_t>(group.rowTo - group.rowFrom) * groupSize(a);
  float* const max = base + (segment - group.segmentFrom) * stateFloats(count, a.headDim);
  return {max, max + count, max + 2 * count};
}

void AttentionRunner::attendSegment(const AttentionChunk& chunk, const Group& group, int32_t segment,
                                    const States& states, const ThreadScratch& scratch) {
  const Attention& a = attentionOf(chunk.block);
  const int32_t heads = groupSize(a), count = (group.rowTo - group.rowFrom) * heads;
  int32_t* const from = scratch.visible.data();
  int32_t* const to = from + count;
  const int32_t first = positionOf(group.rowFrom), last = positionOf(group.rowTo - 1);
  for (int32_t i = 0; i < count; i++) {
    const int32_t position = first + i / heads;
    from[i] = firstSeen(a, position);
    to[i] = position + 1;
    states.max[i] = -INFINITY;
    states.sum[i] = 0;
  }
  std::fill_n(states.output, static_cast<int64_t>(count) * a.headDim, 0.0f);
  const int32_t pageFrom = std::max(segment * kSegmentPages, firstSeen(a, first) / kPagePositions);
  const int32_t pageTo = std::min((segment + 1) * kSegmentPages, last / kPagePositions + 1);
  const PageShape shape = shapeOf(group.span, a);
  KvPage pages[kSegmentPages], next;
  for (int32_t p = pageFrom; p < pageTo; p++) {
    pages[p - pageFrom] = headOfPage(shape, pageBytes(group.span, chunk.block, shape, p), group.kvHead);
  }
  AttendRun run;
  run.type = shape.type;
  run.headDim = run.queryStride = a.headDim;
  run.queries = queriesOf(chunk, a, group.kvHead, group.rowFrom);
  run.count = count;
  run.visibleFrom = from;
  run.visibleTo = to;
  run.pages = pages;
  run.pageCount = pageTo - pageFrom;
  run.nextPage = pageAfter(chunk, group, pageTo, &next) ? &next : nullptr;
  run.firstPosition = pageFrom * kPagePositions;
  run.scratch = scratch.kernel.data();
  kernels_.attend(run, {states.max, states.sum, states.output, a.headDim});
}

/** What is used after the group's pages up to `page`: the group's next one, or the first one of the next head. */
bool AttentionRunner::pageAfter(const AttentionChunk& chunk, const Group& group, int32_t page, KvPage* next) const {
  const Attention& a = attentionOf(chunk.block);
  const bool same = page <= positionOf(group.rowTo - 1) / kPagePositions;
  const int32_t kvHead = same ? group.kvHead : group.kvHead + 1;
  if (kvHead == a.kvHeads) return false;
  if (!same) page = firstSeen(a, positionOf(group.rowFrom)) / kPagePositions;
  const PageShape shape = shapeOf(group.span, a);
  *next = headOfPage(shape, pageBytes(group.span, chunk.block, shape, page), kvHead);
  return true;
}

void AttentionRunner::merge(const AttentionChunk& chunk, const Group& group, const States& into,
                            const States& later) const {
  const Attention& a = attentionOf(chunk.block);
  const int32_t count = (group.rowTo - group.rowFrom) * groupSize(a);
  for (int32_t i = 0; i < count; i++) {
    const int64_t at = static_cast<int64_t>(i) * a.headDim;
    kernels_.mergeStates(a.headDim, into.max + i, into.sum + i, into.output + at, later.max[i], later.sum[i],
                         later.output + at);
  }
}

/** Weighted sums divided by the sum of the weights, to where the output projection takes them. */
void AttentionRunner::finish(const AttentionChunk& chunk, const Group& group, const States& states) const {
  const Attention& a = attentionOf(chunk.block);
  const int32_t heads = groupSize(a), count = (group.rowTo - group.rowFrom) * heads;
  for (int32_t i = 0; i < count; i++) {
    const int64_t row = group.rowFrom - chunk.rowFrom + i / heads, head = group.kvHead * heads + i % heads;
    const float* const from = states.output + static_cast<int64_t>(i) * a.headDim;
    float* const to = chunk.output + row * chunk.outputStride + head * a.headDim;
    for (int32_t c = 0; c < a.headDim; c++) to[c] = from[c] / states.sum[i];
  }
}

}  // namespace layerwise
