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
  const KernelTable& kernels;
  ThreadPool& pool;
  /** Looked at now and then; null: cannot be stopped. */
  const std::atomic<bool>* abort = nullptr;

  bool aborted() const { return abort != nullptr && abort->load(std::memory_order_relaxed); }
};

struct Gemm {
  int64_t m, n, k;
  const float* a;  // [m, k], or [k, m] where transposeA
  const float* b;  // [k, n], or [n, k] where transposeB
  float* c;        // [m, n]
  bool transposeA = false;
  bool transposeB = false;
  bool accumulate = false;
};

/** c = a b, or c + a b: fma over k in order, from 0 or from c. */
void gemm(const Machine& on, const Gemm& call);

/**
 * h [cols, cols] += factor * x^T x of x [rows, cols], both triangles: for each 256 rows in order, h = fma(factor, sum,
 * h) with the sum by fma in order, from 0.
 */
void accumulateGram(const Machine& on, const float* x, int64_t rows, int64_t cols, float factor, float* h);

/**
 * Lower Cholesky factor of symmetric a [n, n] (its lower triangle is read) in place, upper triangle zeroed; false: not
 * positive definite.
 */
bool cholesky(const Machine& on, double* a, int64_t n);

/** From the lower factor l [n, n] the inverse of l l^T in place, both triangles. */
void choleskyInverse(const Machine& on, double* l, int64_t n);

/**
 * The upper factor u of the inverse of symmetric positive definite h [n, n] in place (h^-1 = u^T u, lower triangle
 * zeroed); false: not positive definite. Half the work of cholesky, choleskyInverse and cholesky again.
 */
bool inverseUpperFactor(const Machine& on, double* h, int64_t n);

struct Gptq {
  float* w;  // [rows, cols]; becomes the quantized values
  int64_t rows, cols;
  const double* u;  // [cols, cols] upper factor of the inverse Hessian, rows and columns in `order`
  int32_t bits;
  int64_t group;         // columns that share a scale; 0: a whole row
  const float* scales;   // [rows, groups]
  const float* minima;   // [rows, groups]; null: symmetric
  const int32_t* order;  // [cols], a permutation: the column quantized i-th
  int64_t blockCols;     // columns between updates of the rest of the row; does not change the result
  uint8_t* codes;        // [rows, cols]
};

/** Quantizes column by column, carrying each column's error over to those that follow. In doubles. */
void gptq(const Machine& on, const Gptq& call);

struct ScaleSearch {
  const float* w;  // [rows, cols], finite
  int64_t rows, cols;
  int32_t bits;
  int64_t group;  // 0: a whole row
  bool asymmetric;
  uint8_t* codes;  // [rows, cols]
  float* scales;   // [rows, groups]
  float* minima;   // [rows, groups] where asymmetric
};

/** Scales of least squared error, and the codes under them. Returns the first row that no f16 scale reaches, or -1. */
int64_t searchScales(const Machine& on, const ScaleSearch& call);

struct PackCall {
  CodecForm form;
  int32_t rows, cols;
  const float* values = nullptr;   // float kinds: [rows, cols]
  const uint8_t* codes = nullptr;  // integer kinds: [rows, cols]
  const float* scales = nullptr;   // [rows, groups]
  const float* minima = nullptr;   // [rows, groups] where asymmetric
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
