// What the JavaScript objects of an engine share. All of it lives on the main thread, but for what a task computes
// with. An object that is disposed of while calls use it gives its memory back when the last of them ends.
#pragma once
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "../engine/context.h"
#include "../kernels/kernel-table.h"
#include "memory.h"
#include "task-runner.h"

namespace layerwise {

struct ContextState;

/** Kernels, a pool of threads, and the thread that runs the calls. Held by every object of the engine and by every call
 * under way. */
struct EngineCore {
  EngineCore(Napi::Env env, const KernelTable& table, int threads);
  ~EngineCore();

  /** Frees threads and contexts where the engine was disposed of and nothing runs. */
  void closeWhenIdle();

  const KernelTable& table;
  const DeviceKernels& kernels;
  const int threads;
  bool disposed = false;
  /** Both null once closed. The runner's thread uses the pool, so it ends first. */
  std::shared_ptr<ThreadPool> pool;
  std::unique_ptr<TaskRunner> runner;
  std::vector<std::weak_ptr<ContextState>> contexts;
};

/** Shares of the memory that weights lie in, and copies of small vectors. */
using Shares = std::vector<std::shared_ptr<const void>>;

/** A model with what keeps its pointers valid, and which parts calls under way use. */
struct ModelState {
  explicit ModelState(std::shared_ptr<EngineCore> core) : core(std::move(core)) {}
  void releaseWhenIdle();

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

/** A sequence's cache. */
struct CacheState {
  void releaseWhenIdle() {
    if (disposed && users == 0) cache.reset();
  }
  /** Tells the collector that the cache now holds `bytes` outside of its heap. */
  void report(Napi::Env env, int64_t bytes);
  /** The object in JavaScript is gone. */
  void collected(Napi::Env env) { report(env, 0); }

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

/** Throw where the object, or its engine, was disposed of. */
void requireOpen(Napi::Env env, const EngineCore& core);
void requireOpen(Napi::Env env, const ModelState& model);
void requireOpen(Napi::Env env, const ContextState& context);
void requireOpen(Napi::Env env, const CacheState& cache);

/** Submits a task of the engine, and closes the engine after it where that is due. */
Napi::Value submit(Napi::Env env, const std::shared_ptr<EngineCore>& core, std::unique_ptr<Task> task);

}  // namespace layerwise
