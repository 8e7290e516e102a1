// Numbers of a call that no size tells: looked at before anything is computed with them.
#include "call-check.h"

#include <cmath>
#include <vector>

namespace layerwise {
namespace offline {

void checkLevels(const Path& path, const int8_t* levels, int32_t bits, bool asymmetric) {
  const Path at{"levels", &path};
  if (levels && (asymmetric || bits == 8)) refuse(at, "expected none for this codec");
  for (int64_t i = 1; levels && i < int64_t{1} << bits; i++) {
    if (levels[i] <= levels[i - 1] || levels[0] >= 0) refuse(at, "expected levels that rise from a negative one");
  }
}

void checkOrder(const Path& path, const int32_t* order, int64_t cols) {
  const Path at{"order", &path};
  std::vector<bool> seen(static_cast<size_t>(cols), false);
  for (int64_t i = 0; i < cols; i++) {
    const int32_t column = order[i];
    if (column < 0 || column >= cols || seen[static_cast<size_t>(column)]) {
      refuse(Path{nullptr, &at, i}, "expected every column once, found " + std::to_string(column));
    }
    seen[static_cast<size_t>(column)] = true;
  }
}

void checkGroups(const Path& path, const GroupRemoval& call) {
  if (call.cols % call.size != 0) refuse(Path{"size", &path}, "expected a divisor of the columns");
  const Path at{"taken", &path};
  const int64_t groups = call.cols / call.size;
  if (call.count > groups) refuse(at, "expected at most " + std::to_string(groups) + " groups");
  std::vector<bool> seen(static_cast<size_t>(groups), false);
  for (int64_t i = 0; i < call.count; i++) {
    const int32_t group = call.taken[i];
    if (group == -1) continue;
    if (group < -1 || group >= groups || seen[static_cast<size_t>(group)]) {
      refuse(Path{nullptr, &at, i}, "expected every group at most once, found " + std::to_string(group));
    }
    seen[static_cast<size_t>(group)] = true;
  }
}

void checkFinite(const Path& path, const float* numbers, int64_t count) {
  for (int64_t i = 0; i < count; i++) {
    if (!std::isfinite(numbers[i])) refuse(Path{nullptr, &path, i}, "expected a finite number");
  }
}

}  // namespace offline
}  // namespace layerwise
