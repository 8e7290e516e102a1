// Scale search over a whole matrix: the twin of quantizeNearest's loop in src/quantization/nearest.ts.
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
      const auto search = call_.asymmetric ? fitAsymmetric : fitSymmetric;
      Fit fit;
      if (!search(on_.kernels, call_.w + at, count, call_.bits, &fit)) {
        fits = false;
        continue;
      }
      call_.scales[row * groups_ + group] = static_cast<float>(fit.scale);
      if (call_.asymmetric) {
        call_.minima[row * groups_ + group] = static_cast<float>(fit.minimum);
        chooseCodes(fit, 0, (1 << call_.bits) - 1, 0, call_.w + at, count, call_.codes + at);
      } else {
        const double half = 1 << (call_.bits - 1);
        chooseCodes({fit.scale, 0}, -half, half - 1, half, call_.w + at, count, call_.codes + at);
      }
    }
    return fits;
  }

  static void chooseCodes(Fit fit, double least, double most, double zero, const float* x, int32_t n, uint8_t* codes) {
    const double inverse = inverseOf(fit.scale);
    for (int32_t i = 0; i < n; i++) {
      const double level = nearestLevel((x[i] - fit.minimum) * inverse, least, most);
      codes[i] = static_cast<uint8_t>(static_cast<int32_t>(level + zero));
    }
  }

  void noteBad(int64_t row) {
    for (int64_t known = firstBad_; row < known && !firstBad_.compare_exchange_weak(known, row);) {
    }
  }

  const Machine& on_;
  const ScaleSearch& call_;
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
