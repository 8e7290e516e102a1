// Maths of the offline stages: plain functions over pointers and sizes, threaded, whose results do not depend on the
// threads. Sizes are the caller's to check (addon/); arrays are row-major. Scratch is allocated before any thread
// starts, so that std::bad_alloc reaches the caller. Every function returns early, its output unfinished, once `abort`
// is set.
#pragma once
#include <atomic>
#include <cstdint>

#include "../engine/thread-pool.h"
#include "../kernels/kernel-table.h"

namespace layerwise {
namespace offline {

/** What a function runs on. */
struct Machine {
  const DeviceKernels& device;
  const OfflineKernels& kernels;
  ThreadPool& pool;
  /** Looked at now and then; null: cannot be stopped. */
  const std::atomic<bool>* abort = nullptr;

  bool aborted() const { return abort != nullptr && abort->load(std::memory_order_relaxed); }
};

/** Sizes of 1 or more. An operand that is transposed is stored as [k, m], [n, k]. */
struct Gemm {
  int64_t m, n, k;
  const float* a;  // [m, k]
  const float* b;  // [k, n]
  float* c;        // [m, n]
  bool transposedA = false, transposedB = false;
  /** Add to c in place of overwriting it. */
  bool accumulate = false;
  /** Numbers from a stored row to the next; 0: rows lie side by side. */
  int64_t strideA = 0, strideB = 0, strideC = 0;

  int64_t stepA() const { return strideA ? strideA : transposedA ? m : k; }
  int64_t stepB() const { return strideB ? strideB : transposedB ? k : n; }
  int64_t stepC() const { return strideC ? strideC : n; }
};

/** c = a b (or c + a b): fma over k in order, from 0 (or from c). */
void gemm(const Machine& on, const Gemm& call);

struct Gram {
  const float* x;  // [rows, cols]
  int64_t rows, cols;
  float factor;
  float* h;  // [cols, cols]
};

/**
 * h [cols, cols] += factor * x^T x of x [rows, cols], both triangles: for each 256 rows in order, h = fma(factor, sum,
 * h) with the sum by fma in order, from 0.
 */
void accumulateGram(const Machine& on, const Gram& call);

struct Square {
  double* a;  // [n, n]
  int64_t n;
};

/**
 * Lower Cholesky factor of symmetric a [n, n] (its lower triangle is read) in place, upper triangle zeroed; false: not
 * positive definite.
 */
bool cholesky(const Machine& on, const Square& a);

/**
 * The upper factor u of the inverse of symmetric positive definite h [n, n] in place (h^-1 = u^T u, lower triangle
 * zeroed); false: not positive definite. Half the work of a factor, its inverse and the inverse's factor.
 */
bool inverseUpperFactor(const Machine& on, const Square& h);

struct Gptq {
  float* w;  // [rows, cols]; becomes the quantized values
  int64_t rows, cols;
  const double* u;  // [cols, cols] upper factor of the inverse Hessian, rows and columns in `order`
  int32_t bits;
  int64_t group;         // columns that share a scale; 0: a whole row
  const float* scales;   // [rows, groups]
  const float* minima;   // [rows, groups]; null: symmetric
  const int8_t* levels;  // [2^bits] ascending, or null: whole numbers
  const int32_t* order;  // [cols], a permutation: the column quantized i-th
  int64_t blockCols;     // columns between updates of the rest of the row; does not change the result
  uint8_t* codes;        // [rows, cols]
  /** Of each keptOf columns of `order`, which takes such runs together, keptCount keep a level; 0 and 0: all. */
  int32_t keptCount, keptOf;
};

/**
 * Quantizes column by column, carrying each column's error over to those that follow. In doubles. Where only some
 * levels are kept (SparseGPT; symmetric ones), those of largest w^2 / u_jj^2 when a run's first column has its turn.
 */
void gptq(const Machine& on, const Gptq& call);

struct ScaleSearch {
  const float* w;        // [rows, cols], finite
  const float* weights;  // [cols], positive: how much the error of a column counts
  int64_t rows, cols;
  int32_t bits;
  int64_t group;  // 0: a whole row
  bool asymmetric;
  const int8_t* levels;  // [2^bits] ascending, or null: whole numbers
  /** Scales as f32 in place of f16: wishes for two-level scales. */
  bool twoLevel;
  /** [rows], given for two-level scales: the scales (and minima) there are snapped to int8 multiples of these. */
  const float* rowScales;
  const float* rowMinima;  // [rows] where asymmetric
  uint8_t* codes;          // [rows, cols]
  float* scales;           // [rows, groups]
  float* minima;           // [rows, groups] where asymmetric
};

/**
 * Scales of least weighted squared error, and the codes under them. Returns the first row that no f16 scale reaches, or
 * -1.
 */
int64_t searchScales(const Machine& on, const ScaleSearch& call);

struct Refine {
  const float* w;  // [rows, cols], the weights to come near to
  int64_t rows, cols;
  int32_t bits;
  int64_t group;           // 0: a whole row
  const int8_t* levels;    // [2^bits] ascending, or null: whole numbers
  const float* gram;       // [cols, cols], symmetric
  double damping;          // added to the gram's diagonal
  int32_t passes;          // over all columns
  const float* rowScales;  // [rows]: scales stay int8 multiples of these; null: f16
  const float* rowMinima;
  bool zerosStay;  // a level that is 0 is not moved
  float* scales;   // [rows, groups]
  float* minima;   // [rows, groups]; null: symmetric
  uint8_t* codes;  // [rows, cols]
};

/** Moves codes, scales and minima to lower the error under the gram, group by group; never raises it. In doubles. */
void refine(const Machine& on, const Refine& call);

struct GroupRemoval {
  double* weights;  // [cols, rows]: a column's numbers lie together
  int64_t rows, cols;
  int64_t size;          // columns of a group, a divisor of cols
  const double* factor;  // [cols, cols] upper factor of the inverse of the damped gram, rows and columns in `order`
  const int32_t* order;  // [cols], a permutation
  double damping;
  int64_t count;
  int32_t* taken;  // [count]: groups to take in turn; -1: whichever costs least, written here; stays where none does
  double* costs;   // [count]
};

/** Takes groups of columns out and repairs the others. In doubles; maths/plain/take-groups.ts. */
void takeGroups(const Machine& on, const GroupRemoval& call);

struct HessianError {
  int64_t rows, cols;
  const float* w;       // [rows, cols]
  const float* values;  // [rows, cols]
  const float* gram;    // [cols, cols]
};

/** Mean over rows of d gram d^T, d = w - values. */
double hessianError(const Machine& on, const HessianError& call);

struct RowComparison {
  const float* reference;  // [rows, vocab]; null: rows are only summed up
  const float* logits;     // [rows, vocab]
  int64_t rows, vocab;
  double* logSumExps;  // [rows]
  int32_t* argmaxes;   // [rows]: the first id of the largest logit
  // With a reference, [rows] each:
  double* referenceLogSumExps;
  int32_t* referenceArgmaxes;
  double* divergences;  // KL(reference || logits) in nats
  int32_t* ranks;       // how many ids come before the reference's argmax in the order of the logits
};

/**
 * Compares rows of logits. Where one is NaN or +infinity its row's log-sum-exp is NaN; where any of a pair of rows is
 * not finite the divergence is not either.
 */
void compareRows(const Machine& on, const RowComparison& call);

struct PackCall {
  CodecForm form;
  int32_t rows, cols;
  const float* values = nullptr;   // float kinds: [rows, cols]
  const uint8_t* codes = nullptr;  // integer kinds: [rows, cols]
  const float* scales = nullptr;   // [rows, groups]
  const float* minima = nullptr;   // [rows, groups] where asymmetric
  const float* rowScales = nullptr;  // [rows] where scales have two levels
  const float* rowMinima = nullptr;  // [rows] where asymmetric too
  uint8_t* out = nullptr;          // packedBytes(form, rows, cols), aligned to 4 bytes
};

/** Why numbers cannot be packed; `index` into the array that `problem` names, -1 and null where all is well. */
struct PackProblem {
  const char* problem;
  int64_t index;
};

/** Packs numbers as the codec stores them; every byte of `out` is written. */
PackProblem pack(const Machine& on, const PackCall& call);

/** Columns that share a scale: groups of a row. */
inline int64_t groupsPerRow(int64_t cols, int64_t group) { return group == 0 ? 1 : (cols + group - 1) / group; }

}  // namespace offline
}  // namespace layerwise
