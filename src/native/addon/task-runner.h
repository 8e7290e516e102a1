// Work off the main thread: one thread an engine, calls in order, a promise each.
#pragma once
#include <napi.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace layerwise {

/** Set to stop a task early; shared by the task and by who may stop it. */
using AbortFlag = std::shared_ptr<std::atomic<bool>>;

/** One asynchronous call. Made and freed on the main thread. */
struct Task {
  explicit Task(Napi::Env env);
  /** Keeps an argument's array from the collector until the call settles. */
  void keep(Napi::Value array);

  /** On the runner's thread; sees no JavaScript. An std::invalid_argument rejects with a RangeError, other exceptions
   * with an Error. */
  std::function<void()> work;
  /** On the main thread when the work is over, however it ended. */
  std::function<void()> finished;
  /** On the main thread: what the promise becomes; unset: undefined. */
  std::function<Napi::Value(Napi::Env)> result;
  AbortFlag abort;

 private:
  friend class TaskRunner;
  enum class End { Done, BadArgument, Failed };
  Napi::Promise::Deferred deferred_;
  std::vector<Napi::ObjectReference> kept_;
  End end_ = End::Done;
  std::string error_;
  /** The engine, which must not end before its tasks. */
  std::shared_ptr<void> owner_;
};

/** Runs tasks one after the other. While there are any the process stays alive. Used on the main thread. */
class TaskRunner {
 public:
  /** `spins`: the thread waits awake for a while after each task, for which it needs a core. */
  TaskRunner(Napi::Env env, bool spins);
  /** Every task has settled: each holds its owner, which holds this. */
  ~TaskRunner();
  TaskRunner(const TaskRunner&) = delete;

  /** `owner` holds this runner and lives at least as long as the task. */
  Napi::Promise submit(Napi::Env env, std::unique_ptr<Task> task, std::shared_ptr<void> owner);
  /** Tasks that have not settled. */
  int pending() const;

 private:
  /** What the thread and the environment's end see; outlives the runner. */
  struct State;
  static void settle(Napi::Env env, Napi::Function, State* state, Task* task);
  static void settlePromise(Napi::Env env, const Task& task);
  static void leave(void* state);

  using Channel = Napi::TypedThreadSafeFunction<State, Task, &TaskRunner::settle>;
  Napi::Env env_;
  std::shared_ptr<State> state_;
};

}  // namespace layerwise
