// The kernels of the offline stages: what calibration, quantization and evaluation need beside the device's
// (kernel-table.h says what every kernel of every table keeps).
#pragma once
#include <cstdint>

namespace layerwise {

/** Weights that share a scale, as a scale search looks at them. */
struct FitGroup {
  const float* x;        // [n], finite
  const float* weights;  // [n]: how much each one's squared error counts
  int32_t n;
  /** The outermost levels. */
  double least, most;
  /**
   * Null: levels are the whole numbers, ties to even. Else the level nearest to y is levels[floor(2 y) + 256], [512].
   */
  const double* levels;
};

/**
 * One row of a quantized matrix in one block of columns, as a refinement moves its levels. Arrays have room for `ld`
 * columns.
 */
struct RefineRow {
  int32_t n;   // columns
  int32_t ld;  // n rounded up to a multiple of 4
  const double* h;         // [n][ld], symmetric, zero beyond n
  const double* diagonal;  // [ld] of h; not zero
  /** Levels as in FitGroup. */
  double least, most;
  const double* levels;
  double scale, inverse;  // inverse: 1 / scale, or 0 for 0
  double minimum;
  bool shifted;      // a value is scale * level + minimum; else scale * level, and minimum is 0
  bool zerosStay;    // a level that is 0 is not moved
  double* values;    // [ld]
  double* gradient;  // [ld] of (values - weights) h; zero beyond n
  double* chosen;    // [ld]: the levels
};

/**
 * What a row of logits adds up to, alone or beside the reference row of the same position. e^x is expOfNegative of
 * math.inc.h; terms are f32, and so is the sum of four vectors; those sums are carried on as precisely as doubles.
 */
struct RowSums {
  /** First id of the row's largest logit. */
  int64_t largest;
  /** Sum of e^(logit - largest logit). */
  double mass;
  // Beside a reference:
  int64_t referenceLargest;
  double referenceMass;
  /** The row's largest logit less the reference's. */
  float shift;
  /** Ids of the row with a larger logit than that of referenceLargest, or as large a one and a lower id. */
  int64_t ahead;
  /** Sums of u d and of u (e^d - 1 - d): u = e^(reference - its largest), d = (row - reference) - shift. */
  double slope, excess;
};

struct OfflineKernels {
  // ---- rows of logits (logit-sums.inc.h) ----

  /** Sums of n logits, n < 2^24; reference null: of the row alone. */
  void (*sumLogits)(const float* reference, const float* row, int64_t n, RowSums* out);

  // ---- dense maths for the offline stages (dense.inc.h) ----

  /**
   * C [m, n] (ldc) (+)= A B. a: A as panels of 6 rows [k][6], b: B as panels of 16 columns [k][16], both zero-padded;
   * sums run over k in order by fma, starting from C where `accumulate`, else from 0. Computes tile rows x columns mr
   * <= 6, nr <= 16.
   */
  void (*gemmTile)(int64_t k, const float* a, const float* b, float* c, int64_t ldc, int32_t mr, int32_t nr,
                   bool accumulate);

  // Doubles (dense-double.inc.h, fit-sums.inc.h, refine-row.inc.h): every product and every sum is rounded by itself,
  // no fma, as JavaScript has it.

  /**
   * C [mr, nr] (ldc) -= A B: c = c - a * b over k in order. a: panel [k][6], b: panel [k][8], zero-padded; mr <= 6, nr
   * <= 8.
   */
  void (*subtractTile)(int64_t k, const double* a, const double* b, double* c, int64_t ldc, int32_t mr, int32_t nr);

  /** subtractTile with row chosen[i] of b [...][8] for column i of A, and the tile's rows anywhere. */
  void (*subtractChosen)(int64_t k, const double* a, const int32_t* chosen, const double* b, double* const* rows,
                         int32_t mr, int32_t nr);

  /**
   * X [n][8] in place: L X' = X for the lower triangle L [n, n] (ldl); x_i = (x_i - L_i0 x_0 - L_i1 x_1 - …) / L_ii.
   */
  void (*solveTile)(int32_t n, const double* l, int64_t ldl, double* x);

  /**
   * What a scale search needs of a group under candidates 0 … count - 1 (a multiple of kFitLanes), one output each.
   * With q = the level nearest to (x - offsets[c]) * factors[c] (offsets null: 0) and w = the weight of x's error: xq =
   * sum of w x q and qq = sum of w q q, even elements and odd ones summed apart, then added; q = sum of w q.
   */
  void (*fitSums)(const FitGroup& group, const double* factors, const double* offsets, int32_t count, double* xq,
                  double* q, double* qq);

  /**
   * errors[c] = sum of w (x - (scales[c] * q + offsets[c]))^2 with q as above; `twoSums`: even and odd elements summed
   * apart, then added (the symmetric search), else one sum.
   */
  void (*fitErrors)(const FitGroup& group, const double* factors, const double* scales, const double* offsets,
                    int32_t count, bool twoSums, double* errors);

  /**
   * product[j] = sum over i in order, from 0, of levels[i] * h[i * ld + j], i in [0, n), j in [0, ld); ld a multiple of
   * 4.
   */
  void (*levelProduct)(int32_t n, int32_t ld, const double* h, const double* levels, double* product);

  /**
   * Column after column takes the level nearest to (values - gradient / diagonal - minimum) * inverse where that is
   * another one and step * (2 * gradient + step * diagonal) < 0 for the step of its value; gradient[j] += step * h[i *
   * ld + j]. False: none did.
   */
  bool (*sweepLevels)(const RefineRow& row);
};

/** Candidates that fitSums and fitErrors take at a time. */
constexpr int kFitLanes = 4;

}  // namespace layerwise
