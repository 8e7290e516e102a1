// Passes and logits as tasks: parts of the model and caches are marked as in use until the task is over.
#include "context-object.h"

#include "model-object.h"
#include "pass-arguments.h"

namespace layerwise {

const napi_type_tag ContextObject::kTag = {0x6c617965722d636fULL, 0x6e746578742d3031ULL};

namespace {

/** The model of a call, of the context's own engine: caches and weights are then touched by one thread at a time. */
const std::shared_ptr<ModelState>& modelOf(Napi::Value value, const ContextState& context) {
  const Path path{"model"};
  const std::shared_ptr<ModelState>& model = ModelObject::of(value, path).state();
  requireOpen(value.Env(), *model);
  if (model->core != context.core) throwRangeError(value.Env(), path, "belongs to another engine");
  return model;
}

/** Adds `change` to the users of all that a pass uses. */
void countUsers(ModelState& model, const PassParts& parts, int change) {
  model.users += change;
  for (int32_t i = parts.pass.from; i < parts.pass.to; i++) model.blockUsers[static_cast<size_t>(i)] += change;
  if (parts.hasAdapter) model.adapterUsers[parts.adapter] += change;
  for (const auto& cache : parts.caches) cache->users += change;
}

/** True where a pass wrote the first position of a page: only then has a cache grown. */
bool beganPage(const Pass& pass, const KvCache& cache) {
  for (const Span& span : pass.spans) {
    if (span.cache == &cache)
      return (span.position + kPagePositions - 1) / kPagePositions * kPagePositions < span.position + span.count;
  }
  return false;
}

void forget(ContextState& context, const AbortFlag& flag) {
  context.running.erase(std::remove(context.running.begin(), context.running.end(), flag), context.running.end());
  context.releaseWhenIdle();
}

/** A task whose promise becomes true, or false where it was stopped. */
Napi::Value submitPass(Napi::Env env, const std::shared_ptr<ContextState>& context, std::unique_ptr<Task> task,
                       std::function<PassResult(const std::atomic<bool>*)> work) {
  const auto done = std::make_shared<PassResult>(PassResult::Aborted);
  const AbortFlag flag = task->abort;
  context->running.push_back(flag);
  task->work = [done, flag, work = std::move(work)] {
    if (!flag->load()) *done = work(flag.get());
  };
  task->result = [done](Napi::Env env) { return Napi::Boolean::New(env, *done == PassResult::Done); };
  return submit(env, context->core, std::move(task));
}

/** Submits a head's run: `compute(context, model, run)` on the engine's thread. */
template <class Run, class Compute>
Napi::Value submitHead(Napi::Env env, const std::shared_ptr<ContextState>& state, const std::shared_ptr<ModelState>& model,
                       HeadParts<Run> given, Compute compute) {
  requireOpen(env, *state);  // a getter of the run may have disposed of it
  const auto parts = std::make_shared<HeadParts<Run>>(std::move(given));
  auto task = std::make_unique<Task>(env);
  for (const Napi::Value& array : parts->arrays) task->keep(array);
  model->users++;
  model->headUsers[parts->head]++;
  task->finished = [state, model, head = parts->head, flag = task->abort] {
    model->users--;
    model->headUsers[head]--;
    model->releaseWhenIdle();
    forget(*state, flag);
  };
  Context* const context = state->context.get();
  return submitPass(env, state, std::move(task),
                    [context, model = model.get(), parts, compute](const std::atomic<bool>* abort) {
                      parts->run.abort = abort;
                      return compute(*context, model->model, parts->run);
                    });
}

}  // namespace

Napi::Function ContextObject::define(Napi::Env env) {
  return DefineClass(
      env, kName,
      {InstanceMethod<&ContextObject::run>("run"), InstanceMethod<&ContextObject::logits>("logits"),
       InstanceMethod<&ContextObject::answers>("answers"), InstanceMethod<&ContextObject::abort>("abort"), InstanceMethod<&ContextObject::scratchBytes>("scratchBytes"),
       InstanceMethod<&ContextObject::dispose>("dispose"),
       InstanceMethod<&ContextObject::dispose>(Napi::Symbol::WellKnown(env, "dispose"))});
}

Napi::Value ContextObject::run(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  requireOpen(env, *state_);
  const std::shared_ptr<ModelState> model = modelOf(info[0], *state_);
  const auto parts = std::make_shared<PassParts>(passOf(info[1], model));
  requireOpen(env, *state_);  // a getter of the pass may have disposed of it
  auto task = std::make_unique<Task>(env);
  task->keep(parts->input);
  task->keep(parts->output);
  for (const Napi::Value& array : parts->captured) task->keep(array);
  countUsers(*model, *parts, 1);
  task->finished = [env, context = state_, model, parts, flag = task->abort] {
    countUsers(*model, *parts, -1);
    for (const auto& cache : parts->caches) {
      if (!cache->disposed && beganPage(parts->pass, *cache->cache))
        reportBytes(env, *cache, cache->cache->byteLength());
      cache->releaseWhenIdle();
    }
    model->releaseWhenIdle();
    forget(*context, flag);
  };
  Context* const context = state_->context.get();
  return submitPass(env, state_, std::move(task),
                    [context, model = model.get(), parts](const std::atomic<bool>* abort) {
                      parts->pass.abort = abort;
                      return context->run(model->model, parts->pass);
                    });
}

Napi::Value ContextObject::logits(const Napi::CallbackInfo& info) {
  const std::shared_ptr<ModelState> model = openModel(info);
  return submitHead(info.Env(), state_, model, logitsOf(info[1], model),
                    [](Context& context, const Model& on, const LogitsRun& run) { return context.logits(on, run); });
}

Napi::Value ContextObject::answers(const Napi::CallbackInfo& info) {
  const std::shared_ptr<ModelState> model = openModel(info);
  return submitHead(info.Env(), state_, model, answersOf(info[1], model),
                    [](Context& context, const Model& on, const AnswersRun& run) { return context.answers(on, run); });
}

/** The model of a call, where neither it nor this context was disposed of. */
std::shared_ptr<ModelState> ContextObject::openModel(const Napi::CallbackInfo& info) const {
  requireOpen(info.Env(), *state_);
  return modelOf(info[0], *state_);
}

Napi::Value ContextObject::abort(const Napi::CallbackInfo& info) {
  for (const AbortFlag& flag : state_->running) flag->store(true);
  return info.Env().Undefined();
}

Napi::Value ContextObject::scratchBytes(const Napi::CallbackInfo& info) {
  requireOpen(info.Env(), *state_);
  if (!state_->running.empty()) throwError(info.Env(), "the native context is in use by a call under way");
  return Napi::Number::New(info.Env(), static_cast<double>(state_->context->scratchBytes()));
}

Napi::Value ContextObject::dispose(const Napi::CallbackInfo& info) {
  state_->disposed = true;
  state_->releaseWhenIdle();
  return info.Env().Undefined();
}

}  // namespace layerwise
