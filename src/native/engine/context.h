// Runs passes over a model: all scratch is here, made once; a model may serve several contexts.
#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "kv-cache.h"
#include "thread-pool.h"

namespace layerwise {

/**
 * `Int8`: rows are quantized before products with integer kinds. `F32`: weights are expanded instead (goldens,
 * references).
 */
enum class ActivationType : uint8_t { Int8, F32 };

/**
 * Consecutive rows of one sequence: positions [position, position + count). cache null: a whole sequence of its own, KV
 * in f32.
 */
struct Span {
  KvCache* cache = nullptr;
  int32_t position = 0;
  int32_t count = 0;
};

/** Where the input rows of a block's products go, [rows, cols] each, f32 before any rounding; null: not wanted. */
struct Capture {
  /** Of q, k, v, and of gate and up where a parallel block has one norm. */
  float* attention = nullptr;
  /** Of o. */
  float* output = nullptr;
  /** Of gate and up where they have a norm of their own. */
  float* mlp = nullptr;
  /** Of down. */
  float* down = nullptr;
  bool wanted() const { return attention || output || mlp || down; }
};

struct Pass {
  /** [rows, hiddenSize]; output may be the same array. */
  const float* input = nullptr;
  float* output = nullptr;
  int32_t rows = 0;
  int32_t from = 0, to = 0;
  std::vector<Span> spans;
  /** Per block of the model; empty: nothing is skipped. */
  std::vector<uint8_t> skipAttention, skipMlp;
  const Adapter* adapter = nullptr;
  /** Of one block: where something is wanted, to = from + 1. */
  Capture capture;
  /** Looked at between blocks; the pass then stops and reports Aborted. */
  const std::atomic<bool>* abort = nullptr;
};

enum class PassResult { Done, Aborted };

/** Rows that a head looks at. */
struct HeadRun {
  const float* input = nullptr;        // [.., hiddenSize]
  std::vector<int32_t> rows;           // which rows of input
  const Head* head = nullptr;
  bool norm = true;
  const std::atomic<bool>* abort = nullptr;
};

struct LogitsRun : HeadRun {
  float* output = nullptr;             // [rows, width of the head]
};

/**
 * What a head says of each row, [rows] each: the first of the largest logits, the entropy of all in nats, the largest
 * probability and what it has before the second. The entropy of a row with a logit that is not finite is not finite.
 */
struct AnswersRun : HeadRun {
  int32_t* best = nullptr;
  float* entropy = nullptr;
  float* maxProbability = nullptr;
  float* margin = nullptr;
};

/** Rows that pass through a block at a time; a multiple of 16. */
constexpr int kChunkRows = 128;
/**
 * Logits that answers are taken from at a time, 8 MiB of them: of a large vocabulary fewer rows. One row always passes.
 */
constexpr int64_t kAnswerLogits = int64_t{1} << 21;

class Context {
 public:
  /** `threads` of its own pool; kernels outlive it. */
  Context(const DeviceKernels& kernels, std::shared_ptr<ThreadPool> pool, ActivationType activations);
  ~Context();

  /**
   * Runs blocks [from, to). Grows caches, commits lengths block by block. Throws std::runtime_error where a page cannot
   * be had.
   */
  PassResult run(const Model& model, const Pass& pass);
  PassResult logits(const Model& model, const LogitsRun& run);
  /** Keeps a few rows' logits at a time, in scratch. */
  PassResult answers(const Model& model, const AnswersRun& run);
  /** Bytes of scratch held now. */
  int64_t scratchBytes() const;
  const DeviceKernels& kernels() const;
  ThreadPool& pool();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace layerwise
