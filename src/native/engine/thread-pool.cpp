// The team of threads: waiting for jobs, the barrier, and the sharing out of parts.
#include "thread-pool.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace layerwise {

namespace {

constexpr auto kIdleSpin = std::chrono::microseconds(200);
/** Spins before a waiting thread offers its processor to others: some 10 microseconds. */
constexpr int kSpinsBeforeYield = 500;
/** Looks at the clock once in so many spins. */
constexpr int kSpinsPerLook = 64;

inline void pause() {
#if defined(__x86_64__) || defined(_M_X64)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/** Waits until ready() for something that a running thread will do soon; yields where the machine is shared. */
template <class Ready>
inline void spinUntil(Ready ready) {
  for (int spins = 0; !ready(); spins++) {
    if (spins < kSpinsBeforeYield) {
      pause();
    } else {
      std::this_thread::yield();
    }
  }
}

}  // namespace

/**
 * One thread's share of the parts of one forParts call, in a cache line of its own. `taken` is the number of that call,
 * in the high half, and how many steps of the share were taken. Another call's number needs no reset: a thread goes on
 * to a later call only when every share of this one is empty, so a later number means "empty" and an earlier one
 * "untouched".
 */
struct alignas(64) Worker::Share {
  std::atomic<uint64_t> taken{0};

  // Of the thread whose share it is, and of no other: the call that it is in, and the share that it takes from now.
  uint32_t call = 0;
  int victim = 0;
  int64_t items = 0, grain = 1, steps = 0;
  /** The victim's steps: `size` of them from `first` on, `grain` items each. */
  int64_t first = 0;
  uint32_t size = 0;
};

struct ThreadPool::State {
  explicit State(int count) : shares(static_cast<size_t>(count)) {}

  void work(int index, ThreadPool& pool);
  bool waitForJob(uint64_t done);
  void beginJob();
  void barrier();
  void end();

  std::vector<Worker::Share> shares;
  std::vector<std::thread> threads;
  /** Held by the caller of run for as long as its job lasts. */
  std::mutex oneJob;

  // The job: written before `jobs` is raised.
  const std::function<void(Worker&)>* job = nullptr;
  bool stop = false;
  alignas(64) std::atomic<uint64_t> jobs{0};
  alignas(64) std::atomic<int> running{0};

  alignas(64) std::atomic<int> arrived{0};
  alignas(64) std::atomic<uint32_t> barriers{0};

  alignas(64) std::mutex sleeping;
  std::condition_variable wake;
  std::atomic<int> sleepers{0};
};

/** Returns when a job after number `done` is there: spins for a while, then sleeps. False: the pool ends. */
bool ThreadPool::State::waitForJob(uint64_t done) {
  const auto changed = [&] { return jobs.load(std::memory_order_seq_cst) != done; };
  const auto begin = std::chrono::steady_clock::now();
  for (int spins = 1; !changed(); spins++) {
    pause();
    if (spins % kSpinsPerLook != 0) continue;
    if (std::chrono::steady_clock::now() - begin < kIdleSpin) {
      // The thread that brings the next job may have been woken on this very processor.
      std::this_thread::yield();
      continue;
    }
    std::unique_lock<std::mutex> lock(sleeping);
    sleepers.fetch_add(1, std::memory_order_seq_cst);
    wake.wait(lock, changed);
    sleepers.fetch_sub(1, std::memory_order_seq_cst);
  }
  return !stop;
}

/**
 * Makes `job` and `stop` visible to all threads. A thread that fell asleep before has counted itself, or sees the
 * number.
 */
void ThreadPool::State::beginJob() {
  // Threads that left the last job early have counted fewer calls of forParts.
  uint32_t call = shares[0].call;
  for (const Worker::Share& share : shares) call = static_cast<int32_t>(share.call - call) > 0 ? share.call : call;
  for (Worker::Share& share : shares) share.call = call;
  jobs.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers.load(std::memory_order_seq_cst) == 0) return;
  { std::lock_guard<std::mutex> lock(sleeping); }
  wake.notify_all();
}

void ThreadPool::State::work(int index, ThreadPool& pool) {
  for (uint64_t done = 0; waitForJob(done); done++) {
    Worker worker(pool, index, static_cast<int>(shares.size()));
    (*job)(worker);
    running.fetch_sub(1, std::memory_order_release);
  }
}

void ThreadPool::State::barrier() {
  const uint32_t number = barriers.load(std::memory_order_relaxed);
  if (arrived.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<int>(shares.size())) {
    arrived.store(0, std::memory_order_relaxed);
    barriers.store(number + 1, std::memory_order_release);
    return;
  }
  spinUntil([&] { return barriers.load(std::memory_order_acquire) != number; });
}

void ThreadPool::State::end() {
  std::lock_guard<std::mutex> lock(oneJob);
  stop = true;
  beginJob();
  for (std::thread& thread : threads) thread.join();
}

ThreadPool::ThreadPool(int threads) : state_(new State(threads < 1 ? 1 : threads)) {
  try {
    for (int i = 1; i < threads; i++) state_->threads.emplace_back([this, i] { state_->work(i, *this); });
  } catch (...) {
    state_->end();
    throw;
  }
}

ThreadPool::~ThreadPool() { state_->end(); }

int ThreadPool::threads() const { return static_cast<int>(state_->shares.size()); }

void ThreadPool::run(const std::function<void(Worker&)>& job) {
  State& state = *state_;
  std::lock_guard<std::mutex> lock(state.oneJob);
  Worker worker(*this, 0, threads());
  if (state.threads.empty()) return job(worker);
  state.job = &job;
  state.running.store(static_cast<int>(state.threads.size()), std::memory_order_relaxed);
  state.beginJob();
  job(worker);
  spinUntil([&] { return state.running.load(std::memory_order_acquire) == 0; });
}

void Worker::barrier() {
  if (count > 1) pool_.state_->barrier();
}

void Worker::beginParts(int64_t items, int64_t grain) {
  Share& own = pool_.state_->shares[static_cast<size_t>(index)];
  own.call++;
  own.items = items;
  own.grain = grain;
  own.steps = grain == 1 ? items : (items + grain - 1) / grain;
  turnTo(own, index, count);
}

void Worker::turnTo(Share& own, int victim, int count) {
  own.victim = victim;
  own.first = own.steps * victim / count;
  own.size = static_cast<uint32_t>(own.steps * (victim + 1) / count - own.first);
}

/** Half of what is left, for the others to help with the rest; all of it where there are no others. */
uint32_t Worker::longTake(uint32_t left, int64_t most, int64_t step) const {
  const int64_t half = std::max<int64_t>(step, (left / 2 + step - 1) / step * step);
  return static_cast<uint32_t>(std::min(count == 1 ? left : std::min<int64_t>(left, half), most));
}

/** Parts are whole steps, at most `most` items: from the own share until it is empty, then from the others'. */
bool Worker::nextPart(int64_t most, int64_t step, int64_t* from, int64_t* to) {
  std::vector<Share>& shares = pool_.state_->shares;
  Share& own = shares[static_cast<size_t>(index)];
  for (;;) {
    std::atomic<uint64_t>& taken = shares[static_cast<size_t>(own.victim)].taken;
    for (uint64_t seen = taken.load(std::memory_order_relaxed);;) {
      // Signed, so that the call's number may wrap.
      const int32_t ahead = static_cast<int32_t>(static_cast<uint32_t>(seen >> 32) - own.call);
      const uint32_t next = ahead < 0 ? 0 : static_cast<uint32_t>(seen);
      if (ahead > 0 || next >= own.size) break;
      const uint32_t take =
          own.victim == index && most > own.grain ? longTake(own.size - next, most / own.grain, step) : 1;
      const uint64_t mine = static_cast<uint64_t>(own.call) << 32 | (next + take);
      if (!taken.compare_exchange_weak(seen, mine, std::memory_order_relaxed)) continue;
      *from = (own.first + next) * own.grain;
      *to = std::min(own.items, *from + take * own.grain);
      return true;
    }
    if (count == 1) return false;
    const int victim = own.victim + 1 == count ? 0 : own.victim + 1;
    if (victim == index) return false;
    turnTo(own, victim, count);
  }
}

}  // namespace layerwise
