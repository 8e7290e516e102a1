// Kernels over rows of floats: levels for the integer products, norms, rotary embedding, activations, sums,
// conversions. Any n: the last n % 16 elements go through loadPart and storePart. Included by device-kernels.inc.h
// inside the table's namespace.
#include "math.inc.h"

/** Sixteen elements, or the n < 16 that are left of a row. */
static inline F32x16 get(const float* p, int64_t n) { return n >= 16 ? load(p) : loadPart(p, static_cast<int>(n)); }

static inline void put(float* p, F32x16 x, int64_t n) {
  if (n >= 16) {
    store(p, x);
  } else {
    storePart(p, x, static_cast<int>(n));
  }
}

/**
 * One chunk of one row, 32 numbers in a and b, by these operations: m = max |x|; where m < 127 * 2^-126 scale and
 * levels are 0 (the reciprocal could overflow); else scale = m / 127 and inverse = 1 / scale, each rounded to nearest,
 * and level = x * inverse rounded to f32, then to the nearest whole number, halves to even, then to -127 … 127. An
 * infinite m gives an infinite scale.
 */
static inline void quantizeChunk(F32x16 a, F32x16 b, int8_t* levels, float* scale, int32_t* sum) {
  const float largest = maxOf(max(absolute(a), absolute(b)));
  // Written so that a NaN makes the scale NaN.
  const bool zero = largest < 127.0f * 0x1p-126f;
  *scale = zero ? 0.0f : largest / 127.0f;
  const F32x16 inverse = broadcast(zero ? 0.0f : 1.0f / *scale);
  const F32x16 least = broadcast(-127.0f), most = broadcast(127.0f);
  const F32x16 low = max(min(roundNearest(mul(a, inverse)), most), least);
  const F32x16 high = max(min(roundNearest(mul(b, inverse)), most), least);
  toI8(levels, low);
  toI8(levels + 16, high);
  // Whole numbers below 2^24: exact in any order.
  *sum = static_cast<int32_t>(sumOf(add(low, high)));
}

static void quantizeRows(const float* x, int64_t ldx, int32_t rows, int32_t cols, const QuantizedRows& out) {
  const int32_t whole = cols / kChunkCols;
  for (int32_t r = 0; r < rows; r++) {
    const float* row = x + r * ldx;
    int64_t at = r;
    for (int32_t c = 0; c < whole; c++, at += out.stride, row += kChunkCols) {
      quantizeChunk(load(row), load(row + 16), out.levels + at * kChunkCols, out.scales + at, out.sums + at);
    }
    const int left = cols - whole * kChunkCols;
    if (left == 0) continue;
    const F32x16 a = get(row, left), b = left > 16 ? loadPart(row + 16, left - 16) : broadcast(0);
    quantizeChunk(a, b, out.levels + at * kChunkCols, out.scales + at, out.sums + at);
  }
}

/** Sum of (x - mean)^2 over n elements; what lies beyond the row adds nothing. */
static float sumOfSquares(const float* x, int32_t n, float mean) {
  F32x16 sum = broadcast(0);
  const F32x16 middle = broadcast(mean);
  int32_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const F32x16 d = sub(load(x + i), middle);
    sum = fma(d, d, sum);
  }
  if (i < n) {
    const F32x16 d = selectLanes(0, n - i, sub(loadPart(x + i, n - i), middle), broadcast(0));
    sum = fma(d, d, sum);
  }
  return sumOf(sum);
}

static float sumOfRow(const float* x, int32_t n) {
  F32x16 sum = broadcast(0);
  for (int32_t i = 0; i < n; i += 16) sum = add(sum, get(x + i, n - i));
  return sumOf(sum);
}

/** 1 / sqrt(mean + eps), each step rounded. */
static inline float inverseDeviation(float squares, int32_t n, float eps) {
  return 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + eps);
}

/** (x * inverse) * weight, two products. */
static void rmsNorm(const float* x, int32_t n, const float* weight, float eps, float* out) {
  const F32x16 inverse = broadcast(inverseDeviation(sumOfSquares(x, n, 0), n, eps));
  for (int32_t i = 0; i < n; i += 16) {
    put(out + i, mul(mul(get(x + i, n - i), inverse), get(weight + i, n - i)), n - i);
  }
}

/** fma((x - mean) * inverse, weight, bias). */
static void layerNorm(const float* x, int32_t n, const float* weight, const float* bias, float eps, float* out) {
  const float mean = sumOfRow(x, n) / static_cast<float>(n);
  const F32x16 inverse = broadcast(inverseDeviation(sumOfSquares(x, n, mean), n, eps));
  for (int32_t i = 0; i < n; i += 16) {
    const F32x16 normed = mul(sub(get(x + i, n - i), broadcast(mean)), inverse);
    put(out + i, fma(normed, get(weight + i, n - i), get(bias + i, n - i)), n - i);
  }
}

/** Products rounded before they are added: a cos - b sin, b cos + a sin. */
static void rotate(float* x, int32_t dims, const float* cos, const float* sin) {
  const int32_t half = dims / 2;
  for (int32_t i = 0; i < half; i += 16) {
    const int32_t n = half - i;
    const F32x16 a = get(x + i, n), b = get(x + half + i, n), c = get(cos + i, n), s = get(sin + i, n);
    put(x + i, sub(mul(a, c), mul(b, s)), n);
    put(x + half + i, add(mul(b, c), mul(a, s)), n);
  }
}

template <Activation kKind>
static inline F32x16 activated(F32x16 x) {
  if (kKind == Activation::Silu) return timesLogistic(x, x);
  if (kKind == Activation::GeluErf) return geluErf(x);
  if (kKind == Activation::GeluTanh) return geluTanh(x);
  // This order of operands keeps a NaN.
  return max(broadcast(0), x);
}

/** up null: x = act(x); else x = act(x) * up. */
template <Activation kKind>
static void activateAll(float* x, const float* up, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    const F32x16 y = activated<kKind>(get(x + i, n - i));
    put(x + i, up == nullptr ? y : mul(y, get(up + i, n - i)), n - i);
  }
}

static void activateOrGate(Activation kind, float* x, const float* up, int64_t n) {
  switch (kind) {
    case Activation::Silu: return activateAll<Activation::Silu>(x, up, n);
    case Activation::GeluErf: return activateAll<Activation::GeluErf>(x, up, n);
    case Activation::GeluTanh: return activateAll<Activation::GeluTanh>(x, up, n);
    case Activation::Relu: return activateAll<Activation::Relu>(x, up, n);
  }
}

static void activate(Activation kind, float* x, int64_t n) { activateOrGate(kind, x, nullptr, n); }
static void activateGated(Activation kind, float* gate, const float* up, int64_t n) {
  activateOrGate(kind, gate, up, n);
}

// The table's add and scale, under names of their own: `add` is the sum of two F32x16.
static void addRows(float* y, const float* x, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) put(y + i, add(get(y + i, n - i), get(x + i, n - i)), n - i);
}

static void addScaled(float* y, const float* x, float factor, int64_t n) {
  const F32x16 f = broadcast(factor);
  for (int64_t i = 0; i < n; i += 16) put(y + i, fma(f, get(x + i, n - i), get(y + i, n - i)), n - i);
}

static void scaleRow(float* x, float factor, int64_t n) {
  const F32x16 f = broadcast(factor);
  for (int64_t i = 0; i < n; i += 16) put(x + i, mul(get(x + i, n - i), f), n - i);
}

// The last, short part of a conversion goes through sixteen numbers of its own: nothing is read or written beyond n.
static void rowToF16(const float* x, int64_t n, uint16_t* out) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) toF16(out + i, load(x + i));
  if (i == n) return;
  uint16_t last[16];
  toF16(last, loadPart(x + i, static_cast<int>(n - i)));
  for (int64_t j = i; j < n; j++) out[j] = last[j - i];
}

static void rowFromF16(const uint16_t* x, int64_t n, float* out) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) store(out + i, fromF16(x + i));
  if (i == n) return;
  uint16_t last[16] = {0};
  for (int64_t j = i; j < n; j++) last[j - i] = x[j];
  storePart(out + i, fromF16(last), static_cast<int>(n - i));
}
