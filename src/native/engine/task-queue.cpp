// Waking a processor that fell idle takes some 50 microseconds: where there is a core to spare the queue's thread spins
// for a while before it sleeps. Where the pool's threads spin on all the others it does not, and the call comes back
// sooner.
#include "task-queue.h"

#include <chrono>
#include <stdexcept>

namespace layerwise {

namespace {

/** Longer than a caller takes between two passes of a sequence. */
constexpr auto kIdleSpin = std::chrono::microseconds(200);

void runWork(QueuedWork* given) {
  try {
    given->work();
  } catch (const std::invalid_argument& problem) {
    given->end = QueuedWork::End::BadArgument;
    given->error = problem.what();
  } catch (const std::exception& problem) {
    given->end = QueuedWork::End::Failed;
    given->error = problem.what();
  } catch (...) {
    given->end = QueuedWork::End::Failed;
    given->error = "unknown exception in the native engine";
  }
}

}  // namespace

void TaskQueue::start(Over over) {
  thread_ = std::thread([this, over = std::move(over)] { loop(over); });
}

void TaskQueue::loop(const Over& over) {
  while (QueuedWork* const work = next()) {
    runWork(work);
    if (!over(work)) return;
  }
}

QueuedWork* TaskQueue::next() {
  std::unique_lock<std::mutex> lock(mutex_);
  running_ = nullptr;
  if (spins_ && !closing_ && queue_.empty()) {
    const uint64_t seen = changes_.load(std::memory_order_relaxed);
    lock.unlock();
    spin(seen);
    lock.lock();
  }
  wake_.wait(lock, [this] { return closing_ || !queue_.empty(); });
  if (queue_.empty() || dropped_) return nullptr;
  QueuedWork* const work = queue_.front();
  queue_.pop_front();
  running_ = work->abort;
  return work;
}

/** Waits for a change for a while; lets others have the processor in between. */
void TaskQueue::spin(uint64_t seen) {
  const auto end = std::chrono::steady_clock::now() + kIdleSpin;
  while (changes_.load(std::memory_order_acquire) == seen && std::chrono::steady_clock::now() < end) {
    std::this_thread::yield();
  }
}

void TaskQueue::push(QueuedWork* work) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    queue_.push_back(work);
  }
  announce();
}

void TaskQueue::close() { end(false); }

void TaskQueue::drop() { end(true); }

void TaskQueue::end(bool drops) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closing_ = true;
    if (drops) {
      dropped_ = true;
      if (running_) running_->store(true);
    }
  }
  announce();
  if (thread_.joinable()) thread_.join();
}

void TaskQueue::announce() {
  changes_.fetch_add(1, std::memory_order_release);
  wake_.notify_all();
}

}  // namespace layerwise
