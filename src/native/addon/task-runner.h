// Calls off the main thread: one thread an engine, calls in order, a promise each.
#pragma once
#include <type_traits>

#include "../engine/live-parts.h"
#include "fields.h"

namespace layerwise {

/**
 * One asynchronous call. Made and freed on the main thread. Its work sees no JavaScript; an std::invalid_argument from
 * it rejects with a RangeError, other exceptions with an Error.
 */
struct Task : QueuedWork {
  /** Keeps what was read from the collector until the call settles. */
  Task(Napi::Env env, const Reader& reader);

  /** On the main thread when the work is over, however it ended. */
  std::function<void()> finished;
  /** On the main thread: what the promise becomes; unset: undefined. */
  std::function<Napi::Value(Napi::Env)> result;
  const Napi::Promise::Deferred deferred;
  std::vector<Napi::ObjectReference> kept;
  /** Must not end before its tasks. */
  std::shared_ptr<EngineCore> core;
};

/** Runs tasks one after the other. While there are any the process stays alive. Used on the main thread. */
class TaskRunner {
 public:
  /** `spins`: see TaskQueue. */
  TaskRunner(Napi::Env env, bool spins);
  /** Every task has settled: each holds the engine, which holds this. */
  ~TaskRunner();
  TaskRunner(const TaskRunner&) = delete;

  Napi::Promise submit(std::unique_ptr<Task> task);

 private:
  /** What the thread and the environment's end see; outlives the runner. */
  struct State;
  static void settle(Napi::Env env, Napi::Function, State* state, Task* task);
  static void leave(void* state);

  using Channel = Napi::TypedThreadSafeFunction<State, Task, &TaskRunner::settle>;
  Napi::Env env_;
  std::shared_ptr<State> state_;
};

/** Submits a task of the engine, which is closed after it where that is due. */
Napi::Value submit(const std::shared_ptr<EngineCore>& core, std::unique_ptr<Task> task);

/** The same of compute(); what it returns is what the promise becomes. */
template <class Compute>
Napi::Value submit(const std::shared_ptr<EngineCore>& core, std::unique_ptr<Task> task, Compute compute) {
  using Result = decltype(compute());
  if constexpr (std::is_void_v<Result>) {
    task->work = std::move(compute);
  } else {
    const auto result = std::make_shared<Result>();
    task->work = [compute = std::move(compute), result] { *result = compute(); };
    task->result = [result](Napi::Env env) { return Napi::Value::From(env, *result); };
  }
  return submit(core, std::move(task));
}

}  // namespace layerwise
