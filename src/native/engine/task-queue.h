// Work on a thread of its own, one piece after the other.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace layerwise {

/** Set to stop a call early; shared by the call and by who may stop it. */
using AbortFlag = std::shared_ptr<std::atomic<bool>>;

/** What the thread runs, and how it ended. */
struct QueuedWork {
  enum class End { Done, BadArgument, Failed };

  std::function<void()> work;
  AbortFlag abort = std::make_shared<std::atomic<bool>>(false);
  /** BadArgument after an std::invalid_argument, Failed after any other exception; `error` is then its text. */
  End end = End::Done;
  std::string error;
};

class TaskQueue {
 public:
  /** Called on the thread after each piece of work; false: nobody listens any more, and the thread ends. */
  using Over = std::function<bool(QueuedWork*)>;

  /** `spins`: the thread waits awake for a while after each piece, for which it needs a core. */
  explicit TaskQueue(bool spins) : spins_(spins) {}
  TaskQueue(const TaskQueue&) = delete;

  void start(Over over);
  /** Work that stays alive until it is over. */
  void push(QueuedWork* work);
  /** Waits until all of it is done, and ends the thread. */
  void close();
  /** Stops the work under way, drops the rest, and ends the thread. */
  void drop();
  bool dropped() const { return dropped_; }

 private:
  void loop(const Over& over);
  QueuedWork* next();
  void spin(uint64_t seen);
  void end(bool drops);
  void announce();

  const bool spins_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<QueuedWork*> queue_;
  /** Raised with every change that the thread waits for: looked at without the mutex. */
  std::atomic<uint64_t> changes_{0};
  AbortFlag running_;
  bool closing_ = false, dropped_ = false;
  std::thread thread_;
};

}  // namespace layerwise
