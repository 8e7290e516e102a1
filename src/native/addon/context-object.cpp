// NativeContext: passes and runs of heads as tasks; parts of the model and caches are marked as in use until the task
// is over.
#include "handle.h"
#include "pass-fields.h"
#include "task-runner.h"

namespace layerwise {

namespace {

using State = std::shared_ptr<ContextState>;
using Call = Napi::CallbackInfo;

/** The model of a call, of the context's own engine: caches and weights are then touched by one thread at a time. */
const std::shared_ptr<ModelState>& modelOf(Napi::Value value, const ContextState& context) {
  const Path path{"model"};
  const std::shared_ptr<ModelState>& model = Handle<ModelKind>::of(value, path);
  requireOpen(*model);
  if (model->core != context.core) refuse(path, "belongs to another engine");
  return model;
}

/** The run that a method of Context computes. */
template <class Method>
struct RunOf;
template <class Run>
struct RunOf<PassResult (Context::*)(const Model&, const Run&)> {
  using Type = Run;
};

/** A call whose promise becomes true, or false where it was stopped. */
template <auto kCompute>
Napi::Value submitRun(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const auto given = std::make_shared<GivenRun<typename RunOf<decltype(kCompute)>::Type>>();
  given->used.model = modelOf(info[0], *state);
  readRun(info[1], *given);
  requireOpen(*state);  // a getter of the run may have disposed of it
  auto task = std::make_unique<Task>(env, given->reader);
  given->run.abort = task->abort.get();
  given->used.begin(state, task->abort);
  task->finished = [env, given] {
    for (const UsedParts::Cache& used : given->used.caches) {
      CacheState& cache = *used.state;
      if (!cache.disposed && used.grew()) report(env, cache, cache.cache->byteLength());
    }
    given->used.end();
  };
  return submit(state->core, std::move(task), [context = state->context.get(), given, abort = task->abort] {
    return !abort->load() && (context->*kCompute)(given->used.model->model, given->run) == PassResult::Done;
  });
}

void abort(const Call&, const State& state) {
  for (const AbortFlag& flag : state->running) flag->store(true);
}

double scratchBytes(const Call&, const State& state) {
  if (!state->running.empty()) throw std::runtime_error("the native context is in use by a call under way");
  return static_cast<double>(state->context->scratchBytes());
}

}  // namespace

Napi::Function defineContext(Napi::Env env) {
  using Object = Handle<ContextKind>;
  return Object::defineDisposable(
      env, {Object::method<submitRun<&Context::run>>("run"), Object::method<submitRun<&Context::logits>>("logits"),
            Object::method<submitRun<&Context::answers>>("answers"), Object::always<abort>("abort"),
            Object::method<scratchBytes>("scratchBytes")});
}

}  // namespace layerwise
