// NativeContext: passes and logits as tasks: parts of the model and caches are marked as in use until the task is over.
#include "handle.h"
#include "pass-fields.h"

namespace layerwise {

namespace {

using State = std::shared_ptr<ContextState>;
using Call = Napi::CallbackInfo;

/** The model of a call, of the context's own engine: caches and weights are then touched by one thread at a time. */
const std::shared_ptr<ModelState>& modelOf(Napi::Value value, const ContextState& context) {
  const Path path{"model"};
  const std::shared_ptr<ModelState>& model = Handle<ModelKind>::of(value, path);
  requireOpen(value.Env(), *model);
  if (model->core != context.core) throwRangeError(value.Env(), path, "belongs to another engine");
  return model;
}

/** Adds `change` to the users of all that a pass uses. */
void countUsers(ModelState& model, const PassParts& parts, int change) {
  model.users += change;
  for (int32_t i = parts.pass.from; i < parts.pass.to; i++) model.blockUsers[static_cast<size_t>(i)] += change;
  if (parts.pass.adapter) model.adapterUsers[parts.adapter] += change;
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
template <class Run>
Napi::Value submitHead(Napi::Env env, const State& state, const std::shared_ptr<ModelState>& model,
                       HeadParts<Run> given, PassResult (Context::*compute)(const Model&, const Run&)) {
  requireOpen(env, *state);  // a getter of the run may have disposed of it
  const auto parts = std::make_shared<HeadParts<Run>>(std::move(given));
  auto task = std::make_unique<Task>(env);
  for (const Reader::Array& array : parts->reader.arrays) task->keep(array.value);
  model->users++;
  model->headUsers[parts->head]++;
  task->finished = [state, model, head = parts->head, flag = task->abort] {
    model->users--;
    model->headUsers[head]--;
    model->releaseWhenIdle();
    forget(*state, flag);
  };
  return submitPass(
      env, state, std::move(task),
      [context = state->context.get(), model = model.get(), parts, compute](const std::atomic<bool>* abort) {
        parts->run.abort = abort;
        return (context->*compute)(model->model, parts->run);
      });
}

Napi::Value run(const Call& info, const State& state) {
  const Napi::Env env = info.Env();
  const std::shared_ptr<ModelState> model = modelOf(info[0], *state);
  const auto parts = std::make_shared<PassParts>(passOf(info[1], model));
  requireOpen(env, *state);  // a getter of the pass may have disposed of it
  auto task = std::make_unique<Task>(env);
  for (const Reader::Array& array : parts->reader.arrays) task->keep(array.value);
  countUsers(*model, *parts, 1);
  task->finished = [env, state, model, parts, flag = task->abort] {
    countUsers(*model, *parts, -1);
    for (const auto& cache : parts->caches) {
      if (!cache->disposed && beganPage(parts->pass, *cache->cache)) cache->report(env, cache->cache->byteLength());
      cache->releaseWhenIdle();
    }
    model->releaseWhenIdle();
    forget(*state, flag);
  };
  return submitPass(env, state, std::move(task),
                    [context = state->context.get(), model = model.get(), parts](const std::atomic<bool>* abort) {
                      parts->pass.abort = abort;
                      return context->run(model->model, parts->pass);
                    });
}

Napi::Value logits(const Call& info, const State& state) {
  const std::shared_ptr<ModelState> model = modelOf(info[0], *state);
  return submitHead(info.Env(), state, model, logitsOf(info[1], model), &Context::logits);
}

Napi::Value answers(const Call& info, const State& state) {
  const std::shared_ptr<ModelState> model = modelOf(info[0], *state);
  return submitHead(info.Env(), state, model, answersOf(info[1], model), &Context::answers);
}

void abort(const Call&, const State& state) {
  for (const AbortFlag& flag : state->running) flag->store(true);
}

double scratchBytes(const Call& info, const State& state) {
  if (!state->running.empty()) throwError(info.Env(), "the native context is in use by a call under way");
  return static_cast<double>(state->context->scratchBytes());
}

void dispose(const Call&, const State& state) {
  state->disposed = true;
  state->releaseWhenIdle();
}

}  // namespace

Napi::Function defineContext(Napi::Env env) {
  using Context = Handle<ContextKind>;
  return Context::define<dispose>(
      env, {Context::method<run>("run"), Context::method<logits>("logits"), Context::method<answers>("answers"),
            Context::always<abort>("abort"), Context::method<scratchBytes>("scratchBytes")});
}

}  // namespace layerwise
