// Engines, models, caches and contexts that somebody holds. All of it lives on one thread, but for what a call computes
// with. A part that is disposed of while calls use it gives its memory back when the last of them ends.
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "../kernels/kernel-table.h"
#include "context.h"
#include "task-queue.h"

namespace layerwise {

struct ContextState;
/** The thread that runs an engine's calls, as whoever holds the engine has it. */
class TaskRunner;

/** Kernels, a pool of threads, and the thread that runs the calls. Held by every part of the engine and by every call
 * under way. */
struct EngineCore {
  EngineCore(const KernelTable& table, int threads);

  /** Frees threads and contexts where the engine was disposed of and nothing runs. */
  void releaseWhenIdle();

  const KernelTable& table;
  const DeviceKernels& kernels;
  const int threads;
  bool disposed = false;
  /** Calls that are not over. */
  int calls = 0;
  /** Both null once closed. The runner's thread uses the pool, so it ends first. */
  std::shared_ptr<ThreadPool> pool;
  std::shared_ptr<TaskRunner> runner;
  std::vector<std::weak_ptr<ContextState>> contexts;
};

/** Shares of the memory that weights lie in, and copies of small vectors. */
using Shares = std::vector<std::shared_ptr<const void>>;

/**
 * A model with what keeps its pointers valid, and which parts calls under way use. What sets a part throws
 * std::invalid_argument where it does not fit the model, std::runtime_error where a call under way uses it.
 */
struct ModelState {
  /** `shape`: sizes, and heads of the blocks; the weights are set later. */
  ModelState(std::shared_ptr<EngineCore> core, Model shape);
  void releaseWhenIdle();

  /** What reads the parts that blocks and heads say they lie in; once, before those are set. */
  void setStream(std::vector<StreamedPart> parts, Shares shares);
  void setEmbedding(const PackedMatrix& matrix, Shares shares);
  void setBlock(size_t index, Block block, Shares shares);
  void clearBlock(size_t index);
  void setHead(const std::string& name, const Head& head, Shares shares);
  void setAdapter(const std::string& name, Adapter adapter, Shares shares);
  /** Rows of the embedding in f32: out [count, hiddenSize]. */
  void embed(const int32_t* ids, size_t count, float* out) const;

  const std::shared_ptr<EngineCore> core;
  Model model;
  bool disposed = false;
  Shares embeddingShares;
  std::vector<Shares> blockShares;
  std::map<std::string, Shares> headShares, adapterShares;

  /** Calls under way: all, and those that use a part. */
  int users = 0;
  std::vector<int> blockUsers;
  std::map<std::string, int> headUsers, adapterUsers;
};

/** A place for an addition; throws std::invalid_argument where no role is called so, or it has one already. */
LowRank& addAddition(Adapter& adapter, int32_t block, const std::string& role, const Path& path);

/** A sequence's cache. */
struct CacheState {
  void releaseWhenIdle() {
    if (disposed && users == 0) cache.reset();
  }

  std::shared_ptr<ModelState> model;
  std::unique_ptr<KvCache> cache;
  bool disposed = false;
  int users = 0;
  /** Bytes that the collector was told of. */
  int64_t reportedBytes = 0;
};

/** A workspace, and the flags of its calls under way. */
struct ContextState {
  ContextState(std::shared_ptr<EngineCore> core, ActivationType activations);
  void releaseWhenIdle() {
    if (disposed && running.empty()) context.reset();
  }

  const std::shared_ptr<EngineCore> core;
  std::unique_ptr<Context> context;
  bool disposed = false;
  std::vector<AbortFlag> running;
};

/** What a call of a context uses: marked as in use from `begin` to `end`. */
struct UsedParts {
  struct Cache {
    std::shared_ptr<CacheState> state;
    Span span;
    /** True where the span wrote the first position of a page: only then has the cache grown. */
    bool grew() const;
  };

  void begin(const std::shared_ptr<ContextState>& context, const AbortFlag& abort);
  void end();

  std::shared_ptr<ModelState> model;
  /** Blocks [from, to). */
  int32_t from = 0, to = 0;
  std::optional<std::string> adapter, head;
  std::vector<Cache> caches;

 private:
  void count(int change);
  std::shared_ptr<ContextState> context_;
  AbortFlag abort_;
};

/** The table of an instruction set; throws std::invalid_argument where this machine does not run it. */
const KernelTable& tableNamed(const std::string& isa, const Path& path);

/** Throw std::runtime_error where the part, or its engine, was disposed of. */
void requireOpen(const EngineCore& core);
void requireOpen(const ModelState& model);
void requireOpen(const ContextState& context);
void requireOpen(const CacheState& cache);

}  // namespace layerwise
