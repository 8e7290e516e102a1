// The kernels that run a model. Kernels see only pointers and sizes: no Node-API, threads, files or exceptions, so that
// another target is one more table (kernel-table.h says what every kernel of every table keeps).
#pragma once
#include "packed-matrix.h"

namespace layerwise {

/** Positions of one page of the KV cache. */
constexpr int kPagePositions = 64;

enum class Activation : uint8_t { Silu, GeluErf, GeluTanh, Relu };
enum class KvType : uint8_t { F32, F16, Q8 };

/**
 * Rows of activations as 8-bit levels, chunk by chunk: x[r][32c + i] ~ scales[c * stride + r] * levels[(c * stride + r)
 * * 32 + i]. scale = max|x| / 127 of the 32 values, level = x * (1 / scale) rounded to nearest even, -127 … 127: one
 * division each, every step rounded to f32. Where max|x| < 127 * 2^-126 scale and levels are 0, since the reciprocal
 * could overflow. sums: the levels' sum. All three are 32-byte aligned.
 */
struct QuantizedRows {
  int8_t* levels;
  float* scales;
  int32_t* sums;
  /** Rows that a chunk has room for. */
  int32_t stride;
};

/**
 * One page of one key/value head. keys: [headDim][64] (a position is a column), values: [64][headDim]; f32, f16 or, for
 * Q8, int8 with one f32 scale a position. Unused positions are zero bytes.
 */
struct KvPage {
  const void* keys;
  const void* values;
  const float* keyScales;
  const float* valueScales;
};

/** Attention of several query vectors over consecutive pages of one key/value head. */
struct AttendRun {
  KvType type;
  int32_t headDim;
  /** Query vectors, already multiplied by the attention scale: queries[i * queryStride … + headDim). */
  const float* queries;
  int32_t queryStride;
  int32_t count;
  /** Positions [visibleFrom[i], visibleTo[i]) are seen by query i. */
  const int32_t* visibleFrom;
  const int32_t* visibleTo;
  const KvPage* pages;
  int32_t pageCount;
  /** What is probably used after them: fetched beside the last page. May be null. */
  const KvPage* nextPage;
  /** Position of the first page. */
  int32_t firstPosition;
  /** Room for attendScratchFloats(headDim) floats, 64-byte aligned. */
  float* scratch;
};

/**
 * Running state of the online softmax of one query: largest score, sum of exp(score - max), and the weighted sum of
 * values. Starts as max = -inf, sum = 0, output = 0.
 */
struct AttendState {
  float* max;      // [count]
  float* sum;      // [count]
  float* output;   // [count] vectors of headDim, outputStride apart
  int32_t outputStride;
};

constexpr int attendScratchFloats(int headDim) { return 2 * kPagePositions * headDim + 64 * kPagePositions; }

/** What a row of logits says: its answer and how sure it is. e^x, terms and sums are those of RowSums. */
struct RowAnswer {
  /** First id of the largest logit. */
  int64_t largest;
  /** e^(second largest logit - largest): 1 where two are largest; next to 0 of a single logit. */
  float second;
  /** Sums of u and of u d: d = logit - largest logit, u = e^d. One of them is not finite where a logit is not. */
  double mass, slope;
};

struct DeviceKernels {
  // ---- products with packed matrices (integer-product.inc.h, float-product.inc.h) ----

  /** x [rows] of `cols` floats, ldx apart -> out rows [0, rows); columns are padded with zeros to whole chunks. */
  void (*quantizeRows)(const float* x, int64_t ldx, int32_t rows, int32_t cols, const QuantizedRows& out);

  /**
   * y[r * ldy + i] = sum over chunks, in order, from 0, for rows i of tiles [tileFrom, tileTo) that the matrix has and
   * r in [0, rows):
   *   acc = fma(float(isum), wscale * xscale, acc)      isum: exact int32 dot product of signed levels (symmetric)
   *                                                     or of codes 0 … 2^bits - 1 (asymmetric), then also
   *   acc = fma(minimum, xscale * float(xsum), acc)     (asymmetric only)
   * Integer kinds only. x has `rows` rows.
   */
  void (*integerProduct)(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                         float* y, int64_t ldy);

  /**
   * y[r * ldy + i] = sum over columns, in order, from 0: acc = fma(W[i][c], x[r][c], acc), with W as unpackRows gives
   * it; any kind. panel: room for kPanelFloats floats, 64-byte aligned.
   */
  void (*floatProduct)(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const float* x, int64_t ldx,
                       int32_t rows, float* y, int64_t ldy, float* panel);

  /**
   * dx[r * lddx + c] = sum over the matrix's rows i, in order, from 0: acc = fma(W[i][c], dy[r][i], acc), for columns
   * of chunks [chunkFrom, chunkTo); any kind.
   */
  void (*floatProductTransposed)(const PackedMatrix& w, int32_t chunkFrom, int32_t chunkTo, const float* dy,
                                 int64_t lddy, int32_t rows, float* dx, int64_t lddx, float* panel);

  /**
   * Row i in f32: fma(float(code), scale, minimum) rounded as the TypeScript codec does (scale * (code - 2^(bits-1)),
   * or scale * code + minimum in double, rounded to f32 once).
   */
  void (*unpackRow)(const PackedMatrix& w, int32_t row, float* out);

  // ---- rows of floats (elementwise.inc.h) ----

  /** out = x / sqrt(mean(x^2) + eps) * weight. In place where out == x. */
  void (*rmsNorm)(const float* x, int32_t n, const float* weight, float eps, float* out);
  /** out = (x - mean) / sqrt(mean((x - mean)^2) + eps) * weight + bias. */
  void (*layerNorm)(const float* x, int32_t n, const float* weight, const float* bias, float eps, float* out);
  /** Half-split pairs (i, i + dims/2): (a, b) -> (a cos - b sin, b cos + a sin); cos and sin have dims/2 entries. */
  void (*rotate)(float* x, int32_t dims, const float* cos, const float* sin);
  /** x = act(x) */
  void (*activate)(Activation kind, float* x, int64_t n);
  /** gate = act(gate) * up */
  void (*activateGated)(Activation kind, float* gate, const float* up, int64_t n);
  /** y += x */
  void (*add)(float* y, const float* x, int64_t n);
  /** y = fma(factor, x, y) */
  void (*addScaled)(float* y, const float* x, float factor, int64_t n);
  /** x *= factor */
  void (*scale)(float* x, float factor, int64_t n);
  /** Conversions, round to nearest even. */
  void (*toF16)(const float* x, int64_t n, uint16_t* out);
  void (*fromF16)(const uint16_t* x, int64_t n, float* out);

  // ---- rows of logits (logit-rows.inc.h) ----

  /** The answer of n logits, 0 < n < 2^24. */
  void (*answerLogits)(const float* row, int64_t n, RowAnswer* out);

  // ---- attention (attention.inc.h) ----

  /**
   * Goes over the pages in order. For each page and query that sees any of it: scores = K^T q (fma over channels in
   * order, from
   * 0), unseen positions -inf; newMax = max(max, page max); factor = exp(max - newMax); sum = fma(sum, factor, page's
   * sum of
   * exp(score - newMax)); output = output * factor, then fma(p, value, output) over the positions in order.
   */
  void (*attend)(const AttendRun& run, const AttendState& state);

  /** Merges a later segment's state into an earlier one's, as `attend` would merge a page. */
  void (*mergeStates)(int32_t headDim, float* max, float* sum, float* output, float laterMax, float laterSum,
                      const float* later);

  // ---- memory (read-bytes.inc.h) ----

  /** Sum of the bytes as 64-bit words: reads memory as fast as it comes, for the bandwidth measurement. */
  uint64_t (*readBytes)(const uint8_t* data, int64_t bytes);
};

/** Floats of floatProduct's panel. */
constexpr int kPanelFloats = 16 * 512;

}  // namespace layerwise
