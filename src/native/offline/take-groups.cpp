// Groups of columns taken out of a matrix with the best repair of the others: maths/plain/take-groups.ts says what is
// computed. Every number is worked out by the same operations in the same order as there; threads share columns out.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "offline.h"

namespace layerwise {
namespace offline {
namespace {

/** Sums over rows are kept in so many parts, row r in part r mod kLanes, that are added up in order at the end. */
constexpr int64_t kLanes = 8;
/** Columns of a part that a thread takes. */
constexpr int64_t kGrain = 32;

double sumOfSquares(const double* values, int64_t count) {
  double parts[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; lane++) parts[lane] += values[i + lane] * values[i + lane];
  }
  for (int64_t lane = 0; i < count; i++, lane++) parts[lane] += values[i] * values[i];
  double sum = 0;
  for (const double part : parts) sum += part;
  return sum;
}

void subtract(double* to, double factor, const double* from, int64_t count) {
  for (int64_t i = 0; i < count; i++) to[i] -= factor * from[i];
}

/** The columns in hand. */
class Hand {
 public:
  Hand(const Machine& on, const GroupRemoval& call)
      : on_(on), call_(call), groups_(call.cols / call.size), placeOf_(size(call.cols)),
        squares_(size(call.cols * call.size)), norms_(size(call.cols)), column_(size(call.cols)),
        inOrder_(size(call.cols)), scaled_(size(call.rows)), gone_(size(groups_), false),
        taken_(size(call.count * call.size * call.cols)), lower_(size(call.size * call.size)),
        solved_(size(call.size * call.rows)) {
    for (int64_t i = 0; i < call.cols; i++) placeOf_[size(call.order[i])] = i;
  }

  void run(Worker& me) {
    prepare(me);
    for (int64_t i = 0; i < call_.count; i++) {
      me.barrier();
      if (me.index == 0) choose(i);
      me.barrier();
      if (chosen_ < 0) return;
      for (int64_t q = 0; q < call_.size; q++) eliminate(me, chosen_ * call_.size + q);
      me.barrier();
      if (me.index == 0) gone_[size(chosen_)] = true;
    }
  }

 private:
  static size_t size(int64_t count) { return static_cast<size_t>(count); }

  /** Squares of C along its diagonal, and the columns' norms. */
  void prepare(Worker& me) {
    const int64_t n = call_.cols, side = call_.size;
    me.forParts(n, kGrain, [&](int64_t from, int64_t to) {
      for (int64_t col = from; col < to; col++) {
        const int64_t first = col - col % side;
        double* const own = squares_.data() + col * side;
        // Above the diagonal of u only.
        for (int64_t i = 0; i <= placeOf_[size(col)]; i++) {
          const double factor = call_.factor[i * n + placeOf_[size(col)]];
          if (factor == 0) continue;
          for (int64_t q = 0; q < side; q++) own[q] += factor * call_.factor[i * n + placeOf_[size(first + q)]];
        }
        norms_[size(col)] = sumOfSquares(weightsOf(col), call_.rows);
      }
    });
  }

  /** Takes the group that is asked for, or the one that costs least, the first of equals; -1: none is to be taken. */
  void choose(int64_t turn) {
    chosen_ = on_.aborted() ? -1 : call_.taken[turn];
    double least = std::numeric_limits<double>::infinity();
    if (chosen_ >= 0) {
      least = costOf(chosen_);
    } else if (!on_.aborted()) {
      for (int64_t place = 0; place < groups_; place++) {
        if (gone_[size(place)]) continue;
        const double cost = costOf(place);
        if (cost < least) {
          least = cost;
          chosen_ = place;
        }
      }
    }
    call_.taken[turn] = static_cast<int32_t>(chosen_);
    if (chosen_ >= 0) call_.costs[turn] = least;
  }

  double costOf(int64_t place) {
    if (call_.size == 1) return norms_[size(place)] * (1 / squares_[size(place)] - call_.damping);
    double sum = 0;
    for (int64_t col = place * call_.size; col < (place + 1) * call_.size; col++) sum += norms_[size(col)];
    return solvedSquares(place) - call_.damping * sum;
  }

  double solvedSquares(int64_t place) {
    const int64_t side = call_.size, rows = call_.rows;
    std::copy_n(squares_.data() + place * side * side, side * side, lower_.data());
    std::copy_n(weightsOf(place * side), side * rows, solved_.data());
    double sum = 0;
    for (int64_t i = 0; i < side; i++) {
      double* const row = lower_.data() + i * side;
      for (int64_t p = 0; p <= i; p++) {
        double value = row[p];
        for (int64_t q = 0; q < p; q++) value -= row[q] * lower_[size(p * side + q)];
        row[p] = p == i ? std::sqrt(value) : value / lower_[size(p * side + p)];
      }
      double* const own = solved_.data() + i * rows;
      for (int64_t p = 0; p < i; p++) subtract(own, row[p], solved_.data() + p * rows, rows);
      for (int64_t r = 0; r < rows; r++) own[r] /= row[i];
      sum += sumOfSquares(own, rows);
    }
    return sum;
  }

  /** Takes one column out of W and of C. */
  void eliminate(Worker& me, int64_t col) {
    const int64_t n = call_.cols, rows = call_.rows, side = call_.size, place = placeOf_[size(col)];
    // The column of C as it was: of u^T u, rows of u above the diagonal.
    me.forParts(n, 4 * kGrain, [&](int64_t from, int64_t to) {
      for (int64_t q = from; q < to; q++) inOrder_[size(q)] = 0;
      for (int64_t i = 0; i <= place; i++) {
        const double own = call_.factor[i * n + place];
        for (int64_t q = std::max(from, i); q < to; q++) inOrder_[size(q)] += own * call_.factor[i * n + q];
      }
    });
    me.barrier();
    // Less what earlier columns have eliminated.
    me.forParts(n, 4 * kGrain, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; k++) column_[size(k)] = inOrder_[size(placeOf_[size(k)])];
      for (int64_t t = 0; t < takenCount_; t++) {
        const double* earlier = taken_.data() + t * n;
        subtract(column_.data() + from, earlier[col], earlier + from, to - from);
      }
    });
    me.barrier();
    const double pivot = column_[size(col)], root = std::sqrt(pivot);
    if (me.index == 0) {
      for (int64_t r = 0; r < rows; r++) scaled_[size(r)] = weightsOf(col)[r] / pivot;
      for (int64_t k = 0; k < n; k++) taken_[size(takenCount_ * n + k)] = column_[size(k)] / root;
    }
    me.barrier();
    me.forParts(n, kGrain, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; k++) {
        const int64_t group = k / side;
        if (gone_[size(group)]) continue;
        subtract(weightsOf(k), column_[size(k)], scaled_.data(), rows);
        norms_[size(k)] = sumOfSquares(weightsOf(k), rows);
        const double factor = column_[size(k)] / pivot;
        for (int64_t q = 0; q < side; q++) squares_[size(k * side + q)] -= factor * column_[size(group * side + q)];
      }
    });
    me.barrier();
    if (me.index == 0) takenCount_++;
  }

  double* weightsOf(int64_t col) const { return call_.weights + col * call_.rows; }

  const Machine& on_;
  const GroupRemoval& call_;
  const int64_t groups_;
  std::vector<int64_t> placeOf_;
  std::vector<double> squares_, norms_, column_, inOrder_, scaled_;
  std::vector<bool> gone_;
  /** c / sqrt(c_j) of each column that was taken, [taken, cols]. */
  std::vector<double> taken_;
  int64_t takenCount_ = 0;
  std::vector<double> lower_, solved_;
  int64_t chosen_ = -1;
};

}  // namespace

void takeGroups(const Machine& on, const GroupRemoval& call) {
  Hand hand(on, call);
  on.pool.run([&](Worker& me) { hand.run(me); });
}

}  // namespace offline
}  // namespace layerwise
