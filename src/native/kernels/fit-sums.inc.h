// The inner loops of the scale searches (offline/symmetric-search.cpp, asymmetric-search.cpp): a register holds
// candidates, not weights, so that each candidate's sums run in the order of the TypeScript twin. Uses
// dense-double.inc.h's F64x4.

/** Adding and taking away 1.5 * 2^52 rounds a double to the nearest whole number, ties to even. */
static const double kRounder = 6755399441055744.0;

/** The whole number nearest to x within least … most. */
static inline F64x4 nearestLevel(F64x4 x, F64x4 least, F64x4 most) {
  const F64x4 rounded = x + splat(kRounder) - splat(kRounder);
#if defined(__GNUC__)
  const F64x4 raised = rounded < least ? least : rounded;
  return raised > most ? most : raised;
#else
  F64x4 out = rounded;
  for (int i = 0; i < 4; i++) {
    if (out.v[i] < least.v[i]) out.v[i] = least.v[i];
    if (out.v[i] > most.v[i]) out.v[i] = most.v[i];
  }
  return out;
#endif
}

/** Candidates' factors and offsets in registers. */
struct FitLanes {
  F64x4 factor, offset, least, most;
};

static inline FitLanes fitLanes(const double* factors, const double* offsets, int32_t at, double least, double most) {
  return {loadDoubles(factors + at), offsets ? loadDoubles(offsets + at) : splat(0), splat(least), splat(most)};
}

/** SHIFTED: candidates have offsets; without them a subtraction a weight is saved. */
template <bool SHIFTED>
static inline F64x4 levelOf(const FitLanes& f, F64x4 x) {
  return nearestLevel(SHIFTED ? (x - f.offset) * f.factor : x * f.factor, f.least, f.most);
}

template <bool SHIFTED>
static inline void sumFits(const float* x, int32_t n, const FitLanes& f, double* xq, double* q, double* qq) {
  F64x4 even = splat(0), odd = splat(0), levels = splat(0), squares = splat(0), oddSquares = splat(0);
  int32_t i = 0;
  for (; i + 1 < n; i += 2) {
    const F64x4 x0 = splat(x[i]), x1 = splat(x[i + 1]);
    const F64x4 q0 = levelOf<SHIFTED>(f, x0), q1 = levelOf<SHIFTED>(f, x1);
    even = even + x0 * q0;
    odd = odd + x1 * q1;
    squares = squares + q0 * q0;
    oddSquares = oddSquares + q1 * q1;
    if (SHIFTED) levels = levels + (q0 + q1);
  }
  if (i < n) {
    const F64x4 last = splat(x[i]), level = levelOf<SHIFTED>(f, last);
    even = even + last * level;
    squares = squares + level * level;
    if (SHIFTED) levels = levels + level;
  }
  storeDoubles(xq, even + odd);
  storeDoubles(qq, squares + oddSquares);
  if (SHIFTED) storeDoubles(q, levels);
}

static void fitSums(const float* x, int32_t n, const double* factors, const double* offsets, int32_t count,
                    double least, double most, double* xq, double* q, double* qq) {
  for (int32_t at = 0; at < count; at += kFitLanes) {
    const FitLanes f = fitLanes(factors, offsets, at, least, most);
    if (offsets) {
      sumFits<true>(x, n, f, xq + at, q + at, qq + at);
    } else {
      sumFits<false>(x, n, f, xq + at, q + at, qq + at);
    }
  }
}

template <bool SHIFTED>
static inline F64x4 errorOf(const FitLanes& f, F64x4 scale, float weight) {
  const F64x4 x = splat(weight), product = scale * levelOf<SHIFTED>(f, x);
  const F64x4 error = SHIFTED ? x - (product + f.offset) : x - product;
  return error * error;
}

template <bool SHIFTED>
static inline F64x4 sumErrors(const float* x, int32_t n, const FitLanes& f, F64x4 scale, bool twoSums) {
  F64x4 even = splat(0), odd = splat(0);
  int32_t i = 0;
  for (; i + 1 < n; i += 2) {
    even = even + errorOf<SHIFTED>(f, scale, x[i]);
    const F64x4 second = errorOf<SHIFTED>(f, scale, x[i + 1]);
    if (twoSums) {
      odd = odd + second;
    } else {
      even = even + second;
    }
  }
  if (i < n) even = even + errorOf<SHIFTED>(f, scale, x[i]);
  return twoSums ? even + odd : even;
}

static void fitErrors(const float* x, int32_t n, const double* factors, const double* scales, const double* offsets,
                      int32_t count, double least, double most, bool twoSums, double* errors) {
  for (int32_t at = 0; at < count; at += kFitLanes) {
    const FitLanes f = fitLanes(factors, offsets, at, least, most);
    const F64x4 scale = loadDoubles(scales + at);
    const F64x4 sums = offsets ? sumErrors<true>(x, n, f, scale, twoSums) : sumErrors<false>(x, n, f, scale, twoSums);
    storeDoubles(errors + at, sums);
  }
}
