// Scale search over a whole matrix: the twin of src/maths/plain/search-scales.ts.
#include "offline.h"
#include "panels.h"
#include "scale-search.h"
#include "whole-levels.h"

namespace layerwise {
namespace offline {
namespace {

/** Weights that a thread takes at a time, about. */
constexpr int64_t kPartWeights = 16384;

class Search {
 public:
  Search(const Machine& on, const ScaleSearch& call)
      : on_(on),
        call_(call),
        form_(call.bits, call.asymmetric, call.twoLevel, call.levels),
        groups_(groupsPerRow(call.cols, call.group)),
        groupCols_(call.group == 0 ? call.cols : call.group),
        firstBad_(call.rows) {}

  void run(Worker& me) {
    me.forParts(call_.rows, most(1, kPartWeights / call_.cols), [&](int64_t from, int64_t to) {
      for (int64_t row = from; row < to && !on_.aborted(); row++) {
        if (!searchRow(row)) noteBad(row);
      }
    });
  }

  int64_t firstBad() const { return firstBad_ < call_.rows ? firstBad_.load() : -1; }

 private:
  bool searchRow(int64_t row) {
    bool fits = true;
    for (int64_t group = 0; group < groups_; group++) {
      const int64_t from = group * groupCols_;
      const int32_t count = static_cast<int32_t>(least(groupCols_, call_.cols - from));
      const int64_t at = row * call_.cols + from;
      Fit fit;
      if (!fitGroup({on_.kernels, form_, call_.w + at, call_.weights + from, count}, row, row * groups_ + group,
                    &fit)) {
        fits = false;
        continue;
      }
      call_.scales[row * groups_ + group] = static_cast<float>(fit.scale);
      if (call_.asymmetric) call_.minima[row * groups_ + group] = static_cast<float>(fit.minimum);
      const double inverse = inverseOf(fit.scale);
      for (int32_t i = 0; i < count; i++) {
        call_.codes[at + i] = form_.codeOf((call_.w[at + i] - fit.minimum) * inverse);
      }
    }
    return fits;
  }

  /** Searches the scale of a group, or snaps the one that it has to the row's. */
  bool fitGroup(const SearchGroup& group, int64_t row, int64_t at, Fit* fit) const {
    if (call_.rowScales == nullptr) return call_.asymmetric ? fitAsymmetric(group, fit) : fitSymmetric(group, fit);
    *fit = {call_.scales[at], call_.asymmetric ? call_.minima[at] : 0};
    if (call_.asymmetric) {
      snapAsymmetric(group, call_.rowScales[row], call_.rowMinima[row], fit);
    } else {
      snapSymmetric(group, call_.rowScales[row], fit);
    }
    return true;
  }

  void noteBad(int64_t row) {
    for (int64_t known = firstBad_; row < known && !firstBad_.compare_exchange_weak(known, row);) {
    }
  }

  const Machine& on_;
  const ScaleSearch& call_;
  const LevelForm form_;
  const int64_t groups_, groupCols_;
  std::atomic<int64_t> firstBad_;
};

}  // namespace

int64_t searchScales(const Machine& on, const ScaleSearch& call) {
  if (call.rows == 0 || call.cols == 0) return -1;
  Search search(on, call);
  on.pool.run([&](Worker& me) { search.run(me); });
  return search.firstBad();
}

}  // namespace offline
}  // namespace layerwise
