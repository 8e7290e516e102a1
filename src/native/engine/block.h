// One block for a chunk of rows, by all threads of a job together.
#pragma once
#include "attention.h"
#include "input-rows.h"

namespace layerwise {

/** A block's low-rank additions; null where there is none. */
using BlockLowRanks = ByRole<const LowRank*>;

/** The additions of a block; does not allocate. */
BlockLowRanks lowRanksOf(const Adapter* adapter, int32_t block);

struct BlockChunk {
  const Block* block = nullptr;
  int32_t number = 0;
  /** Rows [rowFrom, rowTo) of the pass. */
  int32_t rowFrom = 0, rowTo = 0;
  /** The residual stream of these rows, [rows, hiddenSize]: read and written. */
  float* x = nullptr;
  /** Present and not skipped. */
  bool attends = false, feeds = false;
  BlockLowRanks lowRanks;
  /** For all rows of the pass. */
  Capture capture;
  /** The block that these threads run next, or null: its first weights are asked for at the end of this one. */
  const Block* next = nullptr;
};

class BlockRunner {
 public:
  BlockRunner(const DeviceKernels& kernels, int threads, ActivationType activations, AttentionRunner& attention);

  /** Before a job: room for chunks of `rows` rows of blocks [from, to). Throws std::bad_alloc. */
  void reserve(const Model& model, int32_t rows, int32_t from, int32_t to, const Adapter* adapter);
  /** By all threads, after a barrier behind all that wrote x; the caller's next one shows x. Does not allocate. */
  void run(Worker& worker, const BlockChunk& chunk);

  /** The input of stages, for the heads too. */
  InputRows& inputs() { return inputs_; }
  int64_t scratchBytes() const;

 private:
  void runSequential(Worker& worker, const BlockChunk& chunk);
  void runParallel(Worker& worker, const BlockChunk& chunk);
  PreparedRows normed(Worker& worker, const BlockChunk& chunk, const Norm& norm, bool forAttention, bool forMlp);
  void projectHeads(Worker& worker, const BlockChunk& chunk, const PreparedRows& rows);
  void normAllHeads(Worker& worker, const BlockChunk& chunk);
  void attend(Worker& worker, const BlockChunk& chunk);
  void expand(Worker& worker, const BlockChunk& chunk, const PreparedRows& rows);
  void reduce(Worker& worker, const BlockChunk& chunk);
  void addToResidual(Worker& worker, const BlockChunk& chunk, Role role, const Norm& post, const PreparedRows& rows);
  bool takesLevels(const Linear& linear) const;

  const DeviceKernels& kernels_;
  const ActivationType activations_;
  AttentionRunner& attention_;
  InputRows inputs_;
  /** [rows, heads * headDim] and [rows, kvHeads * headDim]; rows are padded to cache lines, here and below. */
  Scratch<float> q_, k_, v_, attended_;
  /** [rows, width of the feed-forward part]; gate_ becomes the activated one where there is a gate, else up_. */
  Scratch<float> gate_, up_;
  /** The activated rows as levels, what `down` takes. */
  Scratch<int8_t> levels_;
  Scratch<float> scales_;
  Scratch<int32_t> sums_;
  /** What a part adds to the residual stream: [rows, hiddenSize]. */
  Scratch<float> branch_;
};

}  // namespace layerwise
