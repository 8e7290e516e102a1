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

/**
 * One thread's share of the parts of one forParts call, in a cache line of its own. `taken` is the number of that call,
 * in the high half, and how many parts of the share were taken. Another call's number needs no reset: a thread goes on
 * to a later call only when every share of this one is empty, so a later number means "empty" and an earlier one
 * "untouched".
 */
struct alignas(64) Share {
  std::atomic<uint64_t> taken{0};
  // Of the thread whose share it is: the call that it is in, and whose share it takes from.
  uint32_t call = 0;
  int victim = 0;
};

}  // namespace

struct ThreadPool::State {
  explicit State(int count) : shares(static_cast<size_t>(count)) {}

  void work(int index, ThreadPool& pool);
  bool waitForJob(uint64_t done);
  void beginJob();
  void barrier();
  void end();

  std::vector<Share> shares;
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
    if (spins % kSpinsPerLook != 0 || std::chrono::steady_clock::now() - begin < kIdleSpin) continue;
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
  for (const Share& share : shares) call = static_cast<int32_t>(share.call - call) > 0 ? share.call : call;
  for (Share& share : shares) share.call = call;
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

void Worker::beginParts() {
  Share& own = pool_.state_->shares[static_cast<size_t>(index)];
  own.call++;
  own.victim = 0;
}

/** Parts are whole steps of `grain` items, at most `most` items. */
bool Worker::nextPart(int64_t items, int64_t grain, int64_t most, int64_t* from, int64_t* to) {
  std::vector<Share>& shares = pool_.state_->shares;
  Share& own = shares[static_cast<size_t>(index)];
  const int64_t steps = (items + grain - 1) / grain;
  for (; own.victim < count; own.victim++) {
    const int victim = (index + own.victim) % count;
    const int64_t first = steps * victim / count;
    const uint32_t size = static_cast<uint32_t>(steps * (victim + 1) / count - first);
    std::atomic<uint64_t>& taken = shares[static_cast<size_t>(victim)].taken;
    for (uint64_t seen = taken.load(std::memory_order_relaxed);;) {
      // Signed, so that the call's number may wrap.
      const int32_t ahead = static_cast<int32_t>(static_cast<uint32_t>(seen >> 32) - own.call);
      const uint32_t next = ahead < 0 ? 0 : static_cast<uint32_t>(seen);
      if (ahead > 0 || next >= size) break;
      // Half of one's own share; of another's, one step, so as not to take away what its owner is about to read.
      const int64_t half = victim == index ? (size - next) / 2 : 1;
      const int64_t take = std::max<int64_t>(1, std::min(half, most / grain));
      const uint64_t mine = static_cast<uint64_t>(own.call) << 32 | static_cast<uint32_t>(next + take);
      if (!taken.compare_exchange_weak(seen, mine, std::memory_order_relaxed)) continue;
      *from = (first + next) * grain;
      *to = std::min(items, *from + take * grain);
      return true;
    }
  }
  return false;
}

}  // namespace layerwise
