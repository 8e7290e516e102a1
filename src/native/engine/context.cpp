// A pass through blocks, and logits: checks, scratch and pages first, then one job for everything.
#include "context.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "block.h"
#include "head.h"
#include "pass-check.h"

namespace layerwise {

struct Context::State {
  State(const DeviceKernels& kernels, std::shared_ptr<ThreadPool> pool, ActivationType activations)
      : kernels(kernels),
        pool(std::move(pool)),
        activations(activations),
        attention(kernels, this->pool->threads()),
        blocks(kernels, this->pool->threads(), activations, attention) {}

  void prepare(const Model& model, const Pass& pass);
  void runBlocks(Worker& worker, const Model& model, const Pass& pass, int32_t from, int32_t to);
  void runChunks(Worker& worker, const Model& model, const Pass& pass, int32_t block);
  bool stopAfter(Worker& worker, const std::atomic<bool>* abort, int32_t step);
  HeadChunk prepareHead(const Model& model, const HeadRun& run, int32_t rows);

  const DeviceKernels& kernels;
  const std::shared_ptr<ThreadPool> pool;
  const ActivationType activations;
  AttentionRunner attention;
  BlockRunner blocks;
  /** Logits that answers are taken from. */
  Scratch<float> answered;
  /**
   * What thread 0 saw of the abort flag after even and odd steps, so that all threads stop at the same one. Two,
   * because a thread may read one while thread 0 writes the next.
   */
  std::atomic<bool> stop[2] = {false, false};
};

namespace {

/** Marks the caches of a pass as in use; refuses those that are already, in this pass or in another. */
class CachesInUse {
 public:
  explicit CachesInUse(const Pass& pass) : pass_(pass) {
    for (; marked_ < pass.spans.size(); marked_++) {
      KvCache* cache = pass.spans[marked_].cache;
      if (cache == nullptr) continue;
      if (cache->busy) {
        release();
        throw std::invalid_argument("a cache is used by two spans at once");
      }
      cache->busy = true;
    }
  }
  CachesInUse(const CachesInUse&) = delete;
  ~CachesInUse() { release(); }

 private:
  void release() {
    for (size_t i = 0; i < marked_; i++) {
      if (pass_.spans[i].cache != nullptr) pass_.spans[i].cache->busy = false;
    }
  }

  const Pass& pass_;
  size_t marked_ = 0;
};

/** How far blocks from `from` on run in one job: one that is streamed by itself, so that its buffer is soon free. */
int32_t jobEnd(const Model& model, const Pass& pass, int32_t from) {
  const auto streamed = [&](int32_t block) { return model.blocks[static_cast<size_t>(block)].part >= 0; };
  int32_t to = from + 1;
  while (!streamed(from) && to < pass.to && !streamed(to)) to++;
  return to;
}

void commit(const Pass& pass, int32_t block, int32_t window) {
  for (const Span& span : pass.spans) {
    if (span.cache != nullptr) span.cache->commit(block, span.position + span.count, window);
  }
}

/** Rows whose logits answers are taken from at a time: whole sixteens where they fit. */
int32_t rowsAtATime(int32_t width) {
  const int64_t fit = std::min<int64_t>(kChunkRows, kAnswerLogits / width);
  return static_cast<int32_t>(std::max<int64_t>(1, fit < 16 ? fit : fit / 16 * 16));
}

}  // namespace

Context::Context(const DeviceKernels& kernels, std::shared_ptr<ThreadPool> pool, ActivationType activations)
    : state_(new State(kernels, std::move(pool), activations)) {}

Context::~Context() = default;

int64_t Context::scratchBytes() const {
  return state_->blocks.scratchBytes() + state_->attention.scratchBytes() + state_->answered.bytes();
}
const DeviceKernels& Context::kernels() const { return state_->kernels; }
ThreadPool& Context::pool() { return *state_->pool; }

/** All that may fail, on one thread. Pages made here and not used after a failure are found again by the next pass. */
void Context::State::prepare(const Model& model, const Pass& pass) {
  for (int32_t i = pass.from; i < pass.to; i++) {
    if (!attends(model, pass, i)) continue;
    for (const Span& span : pass.spans) {
      if (span.cache != nullptr) span.cache->grow(i, span.count);
    }
    checkPages(model, pass, i);
  }
  blocks.reserve(model, std::min(pass.rows, kChunkRows), pass.from, pass.to, pass.adapter);
  attention.beginPass(model, pass);
}

PassResult Context::run(const Model& model, const Pass& pass) {
  State& state = *state_;
  checkPass(model, pass);
  if (pass.rows == 0) return PassResult::Done;
  const CachesInUse inUse(pass);
  state.prepare(model, pass);
  if (pass.output != pass.input) {
    const int64_t numbers = static_cast<int64_t>(pass.rows) * model.hiddenSize;
    memmove(pass.output, pass.input, static_cast<size_t>(numbers) * sizeof(float));
  }
  state.stop[0] = state.stop[1] = pass.abort != nullptr && pass.abort->load();
  const auto stopped = [&] { return state.stop[0] || state.stop[1]; };
  for (int32_t from = pass.from; from < pass.to && !stopped();) {
    const PartInUse part(model.stream.get(), model.blocks[static_cast<size_t>(from)].part, pass.abort);
    if (!part.isThere()) return PassResult::Aborted;
    const int32_t to = jobEnd(model, pass, from);
    state.pool->run([&](Worker& worker) { state.runBlocks(worker, model, pass, from, to); });
    from = to;
  }
  return stopped() ? PassResult::Aborted : PassResult::Done;
}

void Context::State::runBlocks(Worker& worker, const Model& model, const Pass& pass, int32_t from, int32_t to) {
  for (int32_t i = from; i < to; i++) {
    runChunks(worker, model, pass, i);
    const bool last = i + 1 == pass.to;
    const bool stopped = stopAfter(worker, last ? nullptr : pass.abort, i);
    // Behind the barrier no thread reads this block's pages any more.
    if (worker.index == 0 && attends(model, pass, i)) {
      commit(pass, i, model.blocks[static_cast<size_t>(i)].attention.window);
    }
    if (stopped) return;
  }
}

/** All rows through one block, a chunk at a time; no barrier behind the last chunk. */
void Context::State::runChunks(Worker& worker, const Model& model, const Pass& pass, int32_t block) {
  BlockChunk chunk;
  chunk.block = &model.blocks[static_cast<size_t>(block)];
  chunk.number = block;
  chunk.attends = attends(model, pass, block);
  chunk.feeds = feeds(model, pass, block);
  chunk.lowRanks = lowRanksOf(pass.adapter, block);
  chunk.capture = pass.capture;
  if (block + 1 < pass.to) chunk.next = &model.blocks[static_cast<size_t>(block) + 1];
  for (int32_t from = 0; from < pass.rows; from += kChunkRows) {
    if (from > 0) worker.barrier();
    chunk.rowFrom = from;
    chunk.rowTo = std::min(pass.rows, from + kChunkRows);
    chunk.x = pass.output + static_cast<int64_t>(from) * model.hiddenSize;
    blocks.run(worker, chunk);
  }
}

/** The barrier behind a step; true for all threads where thread 0 saw the abort flag before it. */
bool Context::State::stopAfter(Worker& worker, const std::atomic<bool>* abort, int32_t step) {
  std::atomic<bool>& seen = stop[step % 2];
  if (worker.index == 0) seen.store(abort != nullptr && abort->load());
  worker.barrier();
  return seen.load(std::memory_order_relaxed);
}

/** Scratch for the rows of a head, so many at a time, and those rows but for where their logits go. */
HeadChunk Context::State::prepareHead(const Model& model, const HeadRun& run, int32_t rows) {
  blocks.inputs().reserve(rows, model.hiddenSize, 0);
  blocks.inputs().reserve(run.head->adapter);
  HeadChunk chunk;
  chunk.head = run.head;
  chunk.norm = run.norm;
  chunk.input = run.input;
  return chunk;
}

PassResult Context::logits(const Model& model, const LogitsRun& run) {
  State& state = *state_;
  checkHeadRun(model, run);
  const int32_t rows = static_cast<int32_t>(run.rows.size());
  HeadChunk chunk = state.prepareHead(model, run, std::min(rows, kChunkRows));
  const PartInUse part(model.stream.get(), run.head->part, run.abort);
  if (!part.isThere()) return PassResult::Aborted;
  for (int32_t from = 0; from < rows; from += kChunkRows) {
    if (run.abort != nullptr && run.abort->load()) return PassResult::Aborted;
    chunk.indices = run.rows.data() + from;
    chunk.rows = std::min(kChunkRows, rows - from);
    chunk.output = run.output + static_cast<int64_t>(from) * run.head->width();
    state.pool->run([&](Worker& worker) {
      runHead(worker, state.kernels, state.activations, state.blocks.inputs(), chunk);
    });
  }
  return PassResult::Done;
}

PassResult Context::answers(const Model& model, const AnswersRun& run) {
  State& state = *state_;
  checkHeadRun(model, run);
  const int32_t rows = static_cast<int32_t>(run.rows.size()), width = run.head->width();
  const int32_t step = std::min(rows, rowsAtATime(width));
  HeadChunk chunk = state.prepareHead(model, run, step);
  state.answered.reserve(static_cast<int64_t>(step) * width);
  chunk.output = state.answered.data();
  const PartInUse part(model.stream.get(), run.head->part, run.abort);
  if (!part.isThere()) return PassResult::Aborted;
  for (int32_t from = 0; from < rows; from += step) {
    if (run.abort != nullptr && run.abort->load()) return PassResult::Aborted;
    chunk.indices = run.rows.data() + from;
    chunk.rows = std::min(step, rows - from);
    const AnswerPlace place = {run.best + from, run.entropy + from, run.maxProbability + from, run.margin + from};
    state.pool->run([&](Worker& worker) {
      runHead(worker, state.kernels, state.activations, state.blocks.inputs(), chunk);
      worker.barrier();
      answerRows(worker, state.kernels, chunk.output, chunk.rows, width, place);
    });
  }
  return PassResult::Done;
}

}  // namespace layerwise
