// The rows that a stage of products reads: normed, as levels, and multiplied with the A of low-rank additions.
#pragma once
#include <vector>

#include "context.h"
#include "linear.h"
#include "scratch.h"

namespace layerwise {

/** What the rows are made of. */
struct InputSource {
  /** Row r is x + r * ldx, or x + indices[r] * ldx. */
  const float* x = nullptr;
  int64_t ldx = 0;
  const int32_t* indices = nullptr;
  int32_t rows = 0;
  int32_t cols = 0;
  /** Null, or of kind None: the rows as they are. */
  const Norm* norm = nullptr;
  /** Null, or what is added to the normed rows. */
  const HeadAdapter* adapter = nullptr;
  /** Whether some product takes levels; `made`: they are there already (levels.levels not null). */
  bool quantize = false;
  QuantizedRows made = {nullptr, nullptr, nullptr, 0};
  /** The low-rank additions of the products that take these rows; null where there is none. */
  ByRole<const LowRank*> lowRanks;
  /** Null, or where a copy of the rows as floats goes, [rows, cols]. */
  float* capture = nullptr;
};

/** The rows made, and A x of each low-rank addition. */
struct PreparedRows {
  ProductInput input;
  ByRole<const float*> low;
  int64_t ldLow = 0;
};

/**
 * Scratch for the input of one stage at a time. A single row is made by every thread for itself, which is cheaper than
 * to wait for each other and gives the same numbers; more are split by rows.
 */
class InputRows {
 public:
  InputRows(const DeviceKernels& kernels, int threads);

  /**
   * Before a job: room for inputs of up to that many rows and columns, and low-rank additions of that many ranks in
   * all.
   */
  void reserve(int32_t rows, int32_t cols, int64_t ranks);
  /** Before a job: room for a head's adapter. */
  void reserve(const HeadAdapter& adapter);
  /**
   * By all threads of a job, after a barrier behind all that reads the rows prepared before. No barrier is needed after
   * it.
   */
  PreparedRows prepare(Worker& worker, const InputSource& source);
  /** True where threads share what `prepare` makes of so many rows: overwriting it then needs a barrier. */
  static bool shared(const Worker& worker, int32_t rows) { return worker.count > 1 && rows > kOwnRows; }
  ProductRoom productRoom(const Worker& worker) const;
  int64_t scratchBytes() const;

 private:
  static constexpr int32_t kOwnRows = 1;

  struct Rows {
    Scratch<float> normed, scales, low;
    Scratch<int8_t> levels;
    Scratch<int32_t> sums;
    void reserve(int32_t rows, int32_t cols, int64_t ranks);
    int64_t bytes() const;
  };
  struct alignas(64) Own {
    Rows rows;
    Scratch<float> panel, low;
    /** What an adapter makes of a few rows: [rows, rank], then [rows, cols]. */
    Scratch<float> adapted;
  };

  /** Where everything goes. */
  struct Place {
    float* x = nullptr;  // null: the rows are read where they lie
    int64_t ldx = 0;
    QuantizedRows levels;
    ByRole<float*> low;
    int64_t ldLow = 0;
  };

  static Place placeOf(const Rows& rows, const InputSource& source);
  void make(const InputSource& source, const Place& place, int32_t from, int32_t to, const Own& own) const;
  void adapt(const HeadAdapter& adapter, float* x, int64_t ldx, int32_t rows, const Own& own) const;

  const DeviceKernels& kernels_;
  Rows shared_;
  std::vector<Own> own_;
};

/** out = norm of x, both [size]; of kind None a copy. */
void applyNorm(const DeviceKernels& kernels, const Norm& norm, const float* x, float* out, int32_t size);

}  // namespace layerwise
