// What a container may use of the processors: control groups limit time, not which processors.
#pragma once
#include <string>

namespace layerwise {

/**
 * Cores that the quotas of the process's control groups (Linux, version 1 or 2) allow: quota / period, rounded up; the
 * least of the group and those around it. 0 where there is none. `root` stands before /proc/self/cgroup and
 * /sys/fs/cgroup.
 */
int coresOfQuota(const std::string& root);

}  // namespace layerwise
