// Attention of one block for a chunk of rows: head norms, rotation, storing keys and values, and the softmax over the
// pages.
#pragma once
#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

#include "context.h"
#include "rope.h"
#include "scratch.h"

namespace layerwise {

/** Pages of a segment: what is split over threads. */
constexpr int kSegmentPages = 8;

/** Rows [rowFrom, rowTo) of the pass, at most kChunkRows; every array begins with row rowFrom. */
struct AttentionChunk {
  int32_t block = 0;
  int32_t rowFrom = 0, rowTo = 0;
  /**
   * As the products left them, biases added: [rows, heads * headDim] and [rows, kvHeads * headDim]; strides in floats.
   */
  const float* q = nullptr;
  const float* k = nullptr;
  const float* v = nullptr;
  int64_t qStride = 0, kStride = 0, vStride = 0;
  /** [rows, heads * headDim], what the output projection takes; not q, k or v. */
  float* output = nullptr;
  int64_t outputStride = 0;
};

/** The first position that a query sees. */
int32_t firstSeen(const Attention& attention, int32_t position);

/** Floats that the states of so many queries take: whole cache lines. */
int64_t stateFloats(int64_t queries, int32_t headDim);

/**
 * Attention for the passes of one context; all scratch is here. A pass: beginPass() by one thread before the job, then
 * for every block and every chunk, in order, run() by all threads of the job together.
 *
 * A row's result is the merge, in order, of segments of kSegmentPages pages at absolute multiples of their length; how
 * segments are spread over threads and which rows share a call change nothing.
 */
class AttentionRunner {
 public:
  AttentionRunner(const DeviceKernels& kernels, int threads);

  /**
   * Rotary rows, scratch, and pages for spans without a cache. Throws std::invalid_argument where a cache no longer
   * holds the window that its next position sees, std::bad_alloc where there is no memory. Model and pass must outlive
   * the pass.
   */
  void beginPass(const Model& model, const Pass& pass);

  /**
   * Called by every thread with the same chunk, after a barrier behind the q, k and v products; the caches have grown
   * for the pass (KvCache::grow) and get their new length (commit) only after the block's last chunk. Holds one barrier
   * itself; the caller's next barrier makes the output visible. Does not allocate.
   */
  void run(Worker& worker, const AttentionChunk& chunk);

  int64_t scratchBytes() const;

 private:
  /**
   * Queries that go through the pages together: consecutive rows of a span, and the heads that share a key/value head.
   */
  struct Group {
    int32_t span, kvHead;
    /** Rows of the pass. */
    int32_t rowFrom, rowTo;
    /** Segments that any of the rows sees. */
    int32_t segmentFrom, segmentTo;
    /** Where its items begin in the chunk, and its segments' states in states_. */
    int64_t firstItem, firstState;
  };
  struct ThreadScratch {
    Scratch<float> kernel, key, state;
    Scratch<int32_t> visible;
  };
  /** Running sums of a group's queries. */
  struct States {
    float *max, *sum, *output;
  };

  const Attention& attentionOf(int32_t block) const { return model_->blocks[static_cast<size_t>(block)].attention; }
  int32_t positionOf(int32_t row) const;
  PageShape shapeOf(int32_t span, const Attention& attention) const;
  uint8_t* pageBytes(int32_t span, int32_t block, const PageShape& shape, int32_t page) const;
  float* queriesOf(const AttentionChunk& chunk, const Attention& attention, int32_t kvHead, int32_t row) const;

  void placeSpans(const Pass& pass);
  void reserve(const Pass& pass, const Attention& attention);
  void prepareHeads(Worker& worker, const AttentionChunk& chunk);
  void prepareHead(const AttentionChunk& chunk, int32_t kvHead, int32_t row, float* key);
  void plan(const AttentionChunk& chunk, int threads);
  void attendItem(const AttentionChunk& chunk, int64_t item, const ThreadScratch& scratch);
  void attendWhole(const AttentionChunk& chunk, const Group& group, const ThreadScratch& scratch);
  void attendSegment(const AttentionChunk& chunk, const Group& group, int32_t segment, const States& states,
                     const ThreadScratch& scratch);
  bool pageAfter(const AttentionChunk& chunk, const Group& group, int32_t page, KvPage* next) const;
  /** A segment's states at `base`, where the group's begin. */
  States statesOf(const AttentionChunk& chunk, const Group& group, float* base, int32_t segment) const;
  void merge(const AttentionChunk& chunk, const Group& group, const States& into, const States& later) const;
  void finish(const AttentionChunk& chunk, const Group& group, const States& states) const;

  const DeviceKernels& kernels_;
  const Model* model_ = nullptr;
  const Pass* pass_ = nullptr;
  RopeTables ropes_;

  // Of the pass: where rows belong, and the pages of spans without a cache.
  std::vector<int32_t> spanOfRow_, firstRowOfSpan_;
  std::vector<int64_t> ownPageOfSpan_;
  int64_t ownPageCount_ = 0;
  Scratch<uint8_t> ownPages_;

  // Of a chunk: queries [kvHead][row][head of the group][headDim], and the plan that thread 0 makes.
  Scratch<float> queries_;
  std::vector<Group> groups_;
  bool split_ = false;
  /**
   * Where the plan is split: the states of all groups' segments, and how many segments of a group are still to be done.
   */
  Scratch<float> states_;
  std::unique_ptr<std::atomic<int32_t>[]> left_;
  int64_t leftCapacity_ = 0;

  std::vector<ThreadScratch> threads_;
};

}  // namespace layerwise
