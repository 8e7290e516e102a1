// A fixed team of threads that runs one job at a time, all threads through the same code (SPMD).
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

namespace layerwise {

class ThreadPool;

/** What one thread of a job sees. */
class Worker {
 public:
  Worker(ThreadPool& pool, int index, int count) : pool_(pool), index(index), count(count) {}

  /** Waits for all threads of the job; everything written before is seen after. Spins. */
  void barrier();

  /**
   * Calls work(from, to) for parts of [0, items), at most `grain` items each, over all threads of the job: every thread
   * begins with its own contiguous share and then helps the others. Every thread must call it with the same arguments;
   * no barrier at the end. Which thread computes a part never changes a result.
   */
  template <class Work>
  void forParts(int64_t items, int64_t grain, Work work);

  /**
   * The same in parts of at most `most` items: a thread takes half of what is left of its share at a time, in multiples
   * of
   * `step` where so many are left, so that parts are long and all threads still end together.
   */
  template <class Work>
  void forShrinkingParts(int64_t items, int64_t most, int64_t step, Work work);
  /** The item that this thread's share of `forShrinkingParts` begins with. */
  int64_t firstItem(int64_t items) const { return items * index / count; }

  ThreadPool& pool_;
  const int index;
  const int count;

 private:
  friend class ThreadPool;
  struct Share;
  void beginParts(int64_t items, int64_t grain);
  bool nextPart(int64_t most, int64_t step, int64_t* from, int64_t* to);
  uint32_t longTake(uint32_t left, int64_t most, int64_t step) const;
  static void turnTo(Share& own, int victim, int count);
};

/**
 * `threads` - 1 threads of its own plus the caller of `run`. Idle threads spin for about 200 microseconds and then
 * sleep. One job at a time: a second caller of `run` waits.
 */
class ThreadPool {
 public:
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;

  int threads() const;
  /** Runs job(worker) on every thread and returns when all are done. The job must not throw. */
  void run(const std::function<void(Worker&)>& job);

 private:
  friend class Worker;
  struct State;
  std::unique_ptr<State> state_;
};

template <class Work>
void Worker::forParts(int64_t items, int64_t grain, Work work) {
  beginParts(items, grain);
  for (int64_t from, to; nextPart(grain, 1, &from, &to);) work(from, to);
}

template <class Work>
void Worker::forShrinkingParts(int64_t items, int64_t most, int64_t step, Work work) {
  beginParts(items, 1);
  for (int64_t from, to; nextPart(most, step, &from, &to);) work(from, to);
}

/**
 * Physical cores that this process may run on (hyper-threads counted once), or fewer where a quota allows fewer; at
 * least 1.
 */
int physicalCores();

}  // namespace layerwise
