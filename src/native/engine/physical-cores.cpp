// How many physical cores the process may use.
#include <algorithm>
#include <set>
#include <string>
#include <thread>

#include "cpu-quota.h"
#include "thread-pool.h"

#if defined(__linux__)
#include <sched.h>

#include <fstream>
#endif

namespace layerwise {

namespace {

#if defined(__linux__)
/**
 * The hardware threads of a processor's core as the system lists them; the processor's own number where it does not.
 */
std::string coreOf(int processor) {
  const std::string folder = "/sys/devices/system/cpu/cpu" + std::to_string(processor) + "/topology/";
  for (const char* name : {"core_cpus_list", "thread_siblings_list"}) {
    std::ifstream file(folder + name);
    std::string list;
    if (std::getline(file, list) && !list.empty()) return list;
  }
  return std::to_string(processor);
}

/** Cores of the affinity mask; 0 where it cannot be read. */
int coresOfMask() {
  // Room for machines of 8,192 processors; the fixed cpu_set_t ends at 1,024 and the system then refuses.
  constexpr int kProcessors = 8192;
  cpu_set_t* mask = CPU_ALLOC(kProcessors);
  if (mask == nullptr) return 0;
  const size_t bytes = CPU_ALLOC_SIZE(kProcessors);
  std::set<std::string> cores;
  if (sched_getaffinity(0, bytes, mask) == 0) {
    for (int i = 0; i < kProcessors; i++) {
      if (CPU_ISSET_S(static_cast<size_t>(i), bytes, mask)) cores.insert(coreOf(i));
    }
  }
  CPU_FREE(mask);
  return static_cast<int>(cores.size());
}
#else
int coresOfMask() { return 0; }
#endif

/** Cores of the mask, or else the processors that the standard library sees; 0 where nothing is known. */
int coresThere() {
  const int cores = coresOfMask();
  return cores > 0 ? cores : static_cast<int>(std::thread::hardware_concurrency());
}

}  // namespace

int physicalCores() {
  const int cores = std::max(1, coresThere()), quota = coresOfQuota("");
  return quota > 0 ? std::min(cores, quota) : cores;
}

}  // namespace layerwise
