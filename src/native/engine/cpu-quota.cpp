// Reads the control groups' files, as the kernel's documentation has them (admin-guide/cgroup-v1 and cgroup-v2).
#include "cpu-quota.h"

#include <algorithm>
#include <cstdint>
#include <fstream>

namespace layerwise {

namespace {

/** Whole cores that hold quota / period; 0 where that is no limit. */
int wholeCores(int64_t quota, int64_t period) {
  constexpr int64_t kMost = 1 << 20;
  if (quota <= 0 || period <= 0) return 0;
  return static_cast<int>(std::min(kMost, quota / period + (quota % period > 0 ? 1 : 0)));
}

/** A number alone in its file; 0 where it is missing. */
int64_t numberIn(const std::string& path) {
  std::ifstream file(path);
  int64_t number = 0;
  return file >> number ? number : 0;
}

/** "200000 100000", or "max 100000" without a limit. */
int coresOfMax(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  int64_t quota = 0, period = 0;
  return file >> quota >> period ? wholeCores(quota, period) : 0;
}

/** Quota -1 without a limit. */
int coresOfCfs(const std::string& folder) {
  return wholeCores(numberIn(folder + "/cpu.cfs_quota_us"), numberIn(folder + "/cpu.cfs_period_us"));
}

int lesser(int a, int b) { return a == 0 || (b > 0 && b < a) ? b : a; }

/**
 * The least of a group and those that it lies in, up to the mounted folder, which in a container is the group's own.
 */
int leastOf(int (*coresOf)(const std::string&), const std::string& mounted, std::string group) {
  // A group outside of what is mounted begins with "/..".
  if (group.find("..") != std::string::npos) group.clear();
  int least = coresOf(mounted);
  for (; group.size() > 1; group.resize(group.rfind('/'))) least = lesser(least, coresOf(mounted + group));
  return least;
}

/** Whether a comma-separated list of controllers names that of processors. */
bool namesCpu(const std::string& controllers) { return ("," + controllers + ",").find(",cpu,") != std::string::npos; }

}  // namespace

int coresOfQuota(const std::string& root) {
  const std::string mounted = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  int least = 0;
  // Lines "number:controllers:/group"; version 2 names no controllers.
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty()) {
      least = lesser(least, leastOf(coresOfMax, mounted, group));
    } else if (namesCpu(controllers)) {
      // The folder has the controllers' names in the mount's order; systems keep a link named after each.
      least = lesser(least, leastOf(coresOfCfs, mounted + "/cpu", group));
    }
  }
  return least;
}

}  // namespace layerwise
