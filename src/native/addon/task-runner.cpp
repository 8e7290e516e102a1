// From the engine's thread back to JavaScript.
#include "task-runner.h"

namespace layerwise {

struct TaskRunner::State {
  explicit State(bool spins) : queue(spins) {}

  TaskQueue queue;
  Channel channel;
  /** Tasks not settled; main thread only. */
  int pending = 0;
};

Task::Task(Napi::Env env, const Reader& reader) : deferred(Napi::Promise::Deferred::New(env)) {
  for (const Reader::Array& array : reader.arrays) kept.push_back(Napi::Persistent(array.value.As<Napi::Object>()));
}

TaskRunner::TaskRunner(Napi::Env env, bool spins) : env_(env), state_(std::make_shared<State>(spins)) {
  State* const state = state_.get();
  // The finalizer holds a share: it runs after the last call was delivered.
  auto* const share = new std::shared_ptr<State>(state_);
  state->channel = Channel::New(
      env, "layerwise", 0, 1, state, [](Napi::Env, std::shared_ptr<State>* held, State*) { delete held; }, share);
  state->channel.Unref(env);
  napi_add_env_cleanup_hook(env, leave, state);
  // At the environment's end nobody listens; the task stays behind with the references that can no longer be freed.
  state->queue.start([state](QueuedWork* work) {
    return state->channel.NonBlockingCall(static_cast<Task*>(work)) == napi_ok;
  });
}

/** Before the environment ends: stops the task under way and waits for the thread; the others stay unsettled. */
void TaskRunner::leave(void* state) { static_cast<State*>(state)->queue.drop(); }

TaskRunner::~TaskRunner() {
  napi_remove_env_cleanup_hook(env_, leave, state_.get());
  state_->queue.close();
  // After the environment's end the channel is gone already.
  if (!state_->queue.dropped()) state_->channel.Release();
}

Napi::Promise TaskRunner::submit(std::unique_ptr<Task> task) {
  const Napi::Promise promise = task->deferred.Promise();
  if (state_->pending++ == 0) state_->channel.Ref(env_);
  state_->queue.push(task.release());
  return promise;
}

void TaskRunner::settle(Napi::Env env, Napi::Function, State* state, Task* given) {
  // Without an environment nothing of the task may be touched, its references least of all.
  if (static_cast<napi_env>(env) == nullptr) return;
  const std::unique_ptr<Task> task(given);
  const Napi::HandleScope scope(env);
  if (--state->pending == 0) state->channel.Unref(env);
  if (task->finished) task->finished();
  task->core->calls--;
  task->core->releaseWhenIdle();
  try {
    if (task->end == Task::End::Done) {
      task->deferred.Resolve(task->result ? task->result(env) : env.Undefined());
    } else {
      task->deferred.Reject(task->end == Task::End::BadArgument ? Napi::RangeError::New(env, task->error).Value()
                                                                : Napi::Error::New(env, task->error).Value());
    }
  } catch (const Napi::Error&) {
    // JavaScript may not run any more, as when a worker is terminated: then nobody waits for the promise either.
  }
}

Napi::Value submit(const std::shared_ptr<EngineCore>& core, std::unique_ptr<Task> task) {
  requireOpen(*core);
  core->calls++;
  task->core = core;
  return core->runner->submit(std::move(task));
}

}  // namespace layerwise
