// Groups of columns taken out of a matrix with the best repair of the others: maths/plain/take-groups.ts says what is
// computed. Every number is worked out by the same operations in the same order as there; threads share columns out.
#include <algorithm>
#include <cmath>
#include <limits>

#include "offline.h"
#include "panels.h"

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
      : on_(on), call_(call), groups_(call.cols / call.size), placeOf_(call.cols), squares_(call.cols * call.size),
        norms_(call.cols), column_(call.cols), inOrder_(call.cols), scaled_(call.rows), gone_(groups_),
        taken_(call.count * call.size * call.cols), lower_(call.size * call.size), solved_(call.size * call.rows) {
    for (int64_t i = 0; i < call.cols; i++) placeOf_[call.order[i]] = i;
    std::fill_n(gone_.data(), groups_, false);
  }

  void run(Worker& me) {
    prepare(me);
    me.barrier();
    for (int64_t i = 0; i < call_.count; i++) {
      if (me.index == 0) choose(i);
      me.barrier();
      if (chosen_ < 0) return;
      for (int64_t q = 0; q < call_.size; q++) eliminate(me, chosen_ * call_.size + q, i * call_.size + q);
      // The others have left `eliminate` too, and wait for the next choice.
      if (me.index == 0) gone_[chosen_] = true;
    }
  }

 private:
  /** Squares of C along its diagonal, and the columns' norms. */
  void prepare(Worker& me) {
    const int64_t n = call_.cols, side = call_.size;
    me.forParts(n, kGrain, [&](int64_t from, int64_t to) {
      for (int64_t col = from; col < to; col++) {
        const int64_t first = col - col % side;
        double* const own = squares_.data() + col * side;
        std::fill_n(own, side, 0.0);
        // Above the diagonal of u only.
        for (int64_t i = 0; i <= placeOf_[col]; i++) {
          const double factor = call_.factor[i * n + placeOf_[col]];
          if (factor == 0) continue;
          for (int64_t q = 0; q < side; q++) own[q] += factor * call_.factor[i * n + placeOf_[first + q]];
        }
        norms_[col] = sumOfSquares(weightsOf(col), call_.rows);
      }
    });
  }

  /** Takes the group that is asked for, or the one that costs least, the first of equals; -1: none is to be taken. */
  void choose(int64_t turn) {
    chosen_ = on_.aborted() ? -1 : call_.taken[turn];
    double lowest = std::numeric_limits<double>::infinity();
    if (chosen_ >= 0) {
      lowest = costOf(chosen_);
    } else if (!on_.aborted()) {
      for (int64_t place = 0; place < groups_; place++) {
        if (gone_[place]) continue;
        const double cost = costOf(place);
        if (cost < lowest) {
          lowest = cost;
          chosen_ = place;
        }
      }
    }
    call_.taken[turn] = static_cast<int32_t>(chosen_);
    if (chosen_ >= 0) call_.costs[turn] = lowest;
  }

  double costOf(int64_t place) {
    if (call_.size == 1) return norms_[place] * (1 / squares_[place] - call_.damping);
    double sum = 0;
    for (int64_t col = place * call_.size; col < (place + 1) * call_.size; col++) sum += norms_[col];
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
        for (int64_t q = 0; q < p; q++) value -= row[q] * lower_[p * side + q];
        row[p] = p == i ? std::sqrt(value) : value / lower_[p * side + p];
      }
      double* const own = solved_.data() + i * rows;
      for (int64_t p = 0; p < i; p++) subtract(own, row[p], solved_.data() + p * rows, rows);
      for (int64_t r = 0; r < rows; r++) own[r] /= row[i];
      sum += sumOfSquares(own, rows);
    }
    return sum;
  }

  /** Takes one column out of W and of C, after `before` others; at the end all threads have. */
  void eliminate(Worker& me, int64_t col, int64_t before) {
    const int64_t n = call_.cols, rows = call_.rows, side = call_.size, place = placeOf_[col];
    // The column of C as it was: of u^T u, rows of u above the diagonal.
    me.forParts(n, 4 * kGrain, [&](int64_t from, int64_t to) {
      for (int64_t q = from; q < to; q++) inOrder_[q] = 0;
      for (int64_t i = 0; i <= place; i++) {
        const double own = call_.factor[i * n + place];
        for (int64_t q = most(from, i); q < to; q++) inOrder_[q] += own * call_.factor[i * n + q];
      }
    });
    me.barrier();
    // Less what earlier columns have eliminated.
    me.forParts(n, 4 * kGrain, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; k++) column_[k] = inOrder_[placeOf_[k]];
      for (int64_t t = 0; t < before; t++) {
        const double* earlier = taken_.data() + t * n;
        subtract(column_.data() + from, earlier[col], earlier + from, to - from);
      }
    });
    me.barrier();
    const double pivot = column_[col], root = std::sqrt(pivot);
    if (me.index == 0) {
      for (int64_t r = 0; r < rows; r++) scaled_[r] = weightsOf(col)[r] / pivot;
      for (int64_t k = 0; k < n; k++) taken_[before * n + k] = column_[k] / root;
    }
    me.barrier();
    me.forParts(n, kGrain, [&](int64_t from, int64_t to) {
      for (int64_t k = from; k < to; k++) {
        const int64_t group = k / side;
        if (gone_[group]) continue;
        subtract(weightsOf(k), column_[k], scaled_.data(), rows);
        norms_[k] = sumOfSquares(weightsOf(k), rows);
        const double factor = column_[k] / pivot;
        for (int64_t q = 0; q < side; q++) squares_[k * side + q] -= factor * column_[group * side + q];
      }
    });
    me.barrier();
  }

  double* weightsOf(int64_t col) const { return call_.weights + col * call_.rows; }

  const Machine& on_;
  const GroupRemoval& call_;
  const int64_t groups_;
  Scratch<int64_t> placeOf_;
  Scratch<double> squares_, norms_, column_, inOrder_, scaled_;
  Scratch<bool> gone_;
  /** c / sqrt(c_j) of each column that was taken, [taken, cols]. */
  Scratch<double> taken_;
  Scratch<double> lower_, solved_;
  int64_t chosen_ = -1;
};

}  // namespace

void takeGroups(const Machine& on, const GroupRemoval& call) {
  Hand hand(on, call);
  on.pool.run([&](Worker& me) { hand.run(me); });
}

}  // namespace offline
}  // namespace layerwise
