// When the parts of an engine are freed.
#include "engine-core.h"

#include "arguments.h"

namespace layerwise {

EngineCore::EngineCore(Napi::Env env, const KernelTable& table, int threads)
    : table(table),
      kernels(table.device),
      threads(threads),
      pool(std::make_shared<ThreadPool>(threads)),
      runner(new TaskRunner(env, threads < physicalCores())) {}

EngineCore::~EngineCore() = default;

void EngineCore::closeWhenIdle() {
  if (!disposed || !runner || runner->pending() > 0) return;
  runner.reset();
  for (const auto& known : contexts) {
    if (const auto context = known.lock()) context->context.reset();
  }
  contexts.clear();
  pool.reset();
}

void ModelState::releaseWhenIdle() {
  if (!disposed || users > 0) return;
  model = Model();
  embeddingShares.clear();
  blockShares.clear();
  headShares.clear();
  adapterShares.clear();
}

void CacheState::report(Napi::Env env, int64_t bytes) {
  if (bytes != reportedBytes) Napi::MemoryManagement::AdjustExternalMemory(env, bytes - reportedBytes);
  reportedBytes = bytes;
}

ContextState::ContextState(std::shared_ptr<EngineCore> engine, ActivationType activations)
    : core(std::move(engine)), context(new Context(core->kernels, core->pool, activations)) {}

void requireOpen(Napi::Env env, const EngineCore& core) {
  if (core.disposed) throwError(env, "the native engine was disposed of");
}

void requireOpen(Napi::Env env, const ModelState& model) {
  if (model.disposed) throwError(env, "the native model was disposed of");
  requireOpen(env, *model.core);
}

void requireOpen(Napi::Env env, const ContextState& context) {
  if (context.disposed) throwError(env, "the native context was disposed of");
  requireOpen(env, *context.core);
}

void requireOpen(Napi::Env env, const CacheState& cache) {
  if (cache.disposed) throwError(env, "the native cache was disposed of");
}

Napi::Value submit(Napi::Env env, const std::shared_ptr<EngineCore>& core, std::unique_ptr<Task> task) {
  requireOpen(env, *core);
  task->finished = [core = core.get(), before = std::move(task->finished)] {
    if (before) before();
    core->closeWhenIdle();
  };
  return core->runner->submit(env, std::move(task), core);
}

}  // namespace layerwise
