// When the parts of an engine are freed.
#include "live-parts.h"

#include <algorithm>
#include <stdexcept>

#include "../kernels/cpu-features.h"

namespace layerwise {

EngineCore::EngineCore(const KernelTable& table, int threads)
    : table(table), kernels(table.device), threads(threads), pool(std::make_shared<ThreadPool>(threads)) {}

void EngineCore::releaseWhenIdle() {
  if (!disposed || !runner || calls > 0) return;
  runner.reset();
  for (const auto& known : contexts) {
    if (const auto context = known.lock()) context->context.reset();
  }
  contexts.clear();
  pool.reset();
}

ModelState::ModelState(std::shared_ptr<EngineCore> engine, Model shape)
    : core(std::move(engine)),
      model(std::move(shape)),
      blockShares(model.blocks.size()),
      blockUsers(model.blocks.size(), 0) {}

void ModelState::releaseWhenIdle() {
  if (!disposed || users > 0) return;
  model = Model();
  embeddingShares.clear();
  blockShares.clear();
  headShares.clear();
  adapterShares.clear();
}

ContextState::ContextState(std::shared_ptr<EngineCore> engine, ActivationType activations)
    : core(std::move(engine)), context(new Context(core->kernels, core->pool, activations)) {}

bool UsedParts::Cache::grew() const {
  return (span.position + kPagePositions - 1) / kPagePositions * kPagePositions < span.position + span.count;
}

void UsedParts::count(int change) {
  model->users += change;
  for (int32_t i = from; i < to; i++) model->blockUsers[static_cast<size_t>(i)] += change;
  if (adapter) model->adapterUsers[*adapter] += change;
  if (head) model->headUsers[*head] += change;
  for (const Cache& cache : caches) cache.state->users += change;
}

void UsedParts::begin(const std::shared_ptr<ContextState>& context, const AbortFlag& abort) {
  context_ = context;
  abort_ = abort;
  context->running.push_back(abort);
  count(1);
}

void UsedParts::end() {
  count(-1);
  for (const Cache& cache : caches) cache.state->releaseWhenIdle();
  model->releaseWhenIdle();
  std::vector<AbortFlag>& running = context_->running;
  running.erase(std::remove(running.begin(), running.end(), abort_), running.end());
  context_->releaseWhenIdle();
}

const KernelTable& tableNamed(const std::string& isa, const Path& path) {
  int count;
  const KernelChoice* const choices = kernelChoices(&count);
  const KernelChoice* const choice =
      std::find_if(choices, choices + count, [&](const KernelChoice& one) { return isa == one.table->name; });
  if (choice == choices + count) {
    refuse(path, "no such instruction set was compiled in: '" + isa.substr(0, 40) + "'");
  }
  if (choice->unavailable) refuse(path, isa + ": " + choice->unavailable);
  return *choice->table;
}

void requireOpen(const EngineCore& core) {
  if (core.disposed) throw std::runtime_error("the native engine was disposed of");
}

void requireOpen(const ModelState& model) {
  if (model.disposed) throw std::runtime_error("the native model was disposed of");
  requireOpen(*model.core);
}

void requireOpen(const ContextState& context) {
  if (context.disposed) throw std::runtime_error("the native context was disposed of");
  requireOpen(*context.core);
}

void requireOpen(const CacheState& cache) {
  if (cache.disposed) throw std::runtime_error("the native cache was disposed of");
}

}  // namespace layerwise
