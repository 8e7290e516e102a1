// Waking a processor that fell idle takes some 50 microseconds: where there is a core to spare the runner's thread
// spins for a while before it sleeps. Where the pool's threads spin on all the others it does not, and the call comes
// back sooner.
#include "task-runner.h"

#include <chrono>

namespace layerwise {

namespace {

/** Longer than a caller takes between two passes of a sequence. */
constexpr auto kIdleSpin = std::chrono::microseconds(200);

}  // namespace

struct TaskRunner::State {
  std::mutex mutex;
  std::condition_variable wake;
  std::deque<Task*> queue;
  /** Raised with every change that the thread waits for: looked at without the mutex. */
  std::atomic<uint64_t> changes{0};
  AbortFlag running;
  bool closing = false;
  /** The environment ends: tasks are dropped unsettled. */
  bool ended = false;
  /** Whether the thread spins before it sleeps. */
  const bool spins;
  std::thread thread;
  Channel channel;
  /** Tasks not settled; main thread only. */
  int pending = 0;

  explicit State(bool spins) : spins(spins) {}
  void loop();
  Task* next();
  void spin(uint64_t seen);
  void announce();
};

Task::Task(Napi::Env env)
    : abort(std::make_shared<std::atomic<bool>>(false)), deferred_(Napi::Promise::Deferred::New(env)) {}

void Task::keep(Napi::Value array) { kept_.push_back(Napi::Persistent(array.As<Napi::Object>())); }

/** Waits for a change for a while; lets others have the processor in between. */
void TaskRunner::State::spin(uint64_t seen) {
  const auto end = std::chrono::steady_clock::now() + kIdleSpin;
  while (changes.load(std::memory_order_acquire) == seen && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
}

void TaskRunner::State::announce() {
  changes.fetch_add(1, std::memory_order_release);
  wake.notify_all();
}

Task* TaskRunner::State::next() {
  std::unique_lock<std::mutex> lock(mutex);
  running = nullptr;
  if (spins && !closing && queue.empty()) {
    const uint64_t seen = changes.load(std::memory_order_relaxed);
    lock.unlock();
    spin(seen);
    lock.lock();
  }
  wake.wait(lock, [this] { return closing || !queue.empty(); });
  if (queue.empty() || ended) return nullptr;
  Task* const task = queue.front();
  queue.pop_front();
  running = task->abort;
  return task;
}

void TaskRunner::State::loop() {
  while (Task* const task = next()) {
    try {
      task->work();
    } catch (const std::invalid_argument& problem) {
      task->end_ = Task::End::BadArgument;
      task->error_ = problem.what();
    } catch (const std::exception& problem) {
      task->end_ = Task::End::Failed;
      task->error_ = problem.what();
    } catch (...) {
      task->end_ = Task::End::Failed;
      task->error_ = "unknown exception in the native engine";
    }
    // At the environment's end nobody listens; the task stays behind with the references that can no longer be freed.
    if (channel.NonBlockingCall(task) != napi_ok) return;
  }
}

TaskRunner::TaskRunner(Napi::Env env, bool spins) : env_(env), state_(std::make_shared<State>(spins)) {
  State* const state = state_.get();
  // The finalizer holds a share: it runs after the last call was delivered.
  auto* const share = new std::shared_ptr<State>(state_);
  state->channel = Channel::New(
      env, "layerwise", 0, 1, state, [](Napi::Env, std::shared_ptr<State>* held, State*) { delete held; }, share);
  state->channel.Unref(env);
  napi_add_env_cleanup_hook(env, leave, state);
  state->thread = std::thread([state] { state->loop(); });
}

/** Before the environment ends: stops the task under way and waits for the thread. */
void TaskRunner::leave(void* given) {
  auto* const state = static_cast<State*>(given);
  {
    const std::lock_guard<std::mutex> lock(state->mutex);
    state->closing = state->ended = true;
    if (state->running) state->running->store(true);
  }
  state->announce();
  if (state->thread.joinable()) state->thread.join();
}

TaskRunner::~TaskRunner() {
  State* const state = state_.get();
  napi_remove_env_cleanup_hook(env_, leave, state);
  {
    const std::lock_guard<std::mutex> lock(state->mutex);
    state->closing = true;
  }
  state->announce();
  if (state->thread.joinable()) state->thread.join();
  // After the environment's end the channel is gone already.
  if (!state->ended) state->channel.Release();
}

Napi::Promise TaskRunner::submit(Napi::Env env, std::unique_ptr<Task> task, std::shared_ptr<void> owner) {
  const Napi::Promise promise = task->deferred_.Promise();
  task->owner_ = std::move(owner);
  if (state_->pending++ == 0) state_->channel.Ref(env);
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->queue.push_back(task.release());
  }
  state_->announce();
  return promise;
}

int TaskRunner::pending() const { return state_->pending; }

void TaskRunner::settle(Napi::Env env, Napi::Function, State* state, Task* given) {
  // Without an environment nothing of the task may be touched, its references least of all.
  if (static_cast<napi_env>(env) == nullptr) return;
  const std::unique_ptr<Task> task(given);
  const Napi::HandleScope scope(env);
  if (--state->pending == 0) state->channel.Unref(env);
  if (task->finished) task->finished();
  try {
    settlePromise(env, *task);
  } catch (const Napi::Error&) {
    // JavaScript may not run any more, as when a worker is terminated: then nobody waits for the promise either.
  }
}

void TaskRunner::settlePromise(Napi::Env env, const Task& task) {
  if (task.end_ == Task::End::BadArgument) {
    task.deferred_.Reject(Napi::RangeError::New(env, task.error_).Value());
  } else if (task.end_ == Task::End::Failed) {
    task.deferred_.Reject(Napi::Error::New(env, task.error_).Value());
  } else {
    task.deferred_.Resolve(task.result ? task.result(env) : env.Undefined());
  }
}

}  // namespace layerwise
