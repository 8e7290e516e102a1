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

/** The entry of a table of levels for y, for each lane: the twin of LevelTable in src/maths/level-form.ts. */
static inline F64x4 tableLevel(F64x4 y, const double* levels) {
  const F64x4 place = y + y;
#if defined(__GNUC__)
  typedef int32_t I32x4 __attribute__((vector_size(16)));
  const F64x4 raised = place >= splat(-256) ? place : splat(-256);
  const F64x4 within = raised <= splat(255) ? raised : splat(255);
  // Exact: the sum is positive, and cutting it off at its whole part is the floor.
  const I32x4 entry = __builtin_convertvector(within + splat(256), I32x4);
  return F64x4{levels[entry[0]], levels[entry[1]], levels[entry[2]], levels[entry[3]]};
#else
  F64x4 found;
  for (int i = 0; i < 4; i++) {
    const double raised = place.v[i] >= -256 ? place.v[i] : -256;
    found.v[i] = levels[static_cast<int32_t>((raised <= 255 ? raised : 255) + 256)];
  }
  return found;
#endif
}

/** Candidates' factors and offsets in registers. */
struct FitLanes {
  F64x4 factor, offset, least, most;
  const double* levels;
};

static inline FitLanes fitLanes(const FitGroup& group, const double* factors, const double* offsets, int32_t at) {
  return {loadDoubles(factors + at), offsets ? loadDoubles(offsets + at) : splat(0), splat(group.least),
          splat(group.most), group.levels};
}

/** SHIFTED: candidates have offsets; without them a subtraction a weight is saved. TABLE: levels are looked up. */
template <bool SHIFTED, bool TABLE>
static inline F64x4 levelOf(const FitLanes& f, F64x4 x) {
  if (TABLE) return tableLevel(x * f.factor, f.levels);
  return nearestLevel(SHIFTED ? (x - f.offset) * f.factor : x * f.factor, f.least, f.most);
}

template <bool SHIFTED, bool TABLE>
static inline void sumFits(const FitGroup& group, const FitLanes& f, double* xq, double* q, double* qq) {
  F64x4 even = splat(0), odd = splat(0), levels = splat(0), squares = splat(0), oddSquares = splat(0);
  const float* x = group.x;
  const float* w = group.weights;
  int32_t i = 0;
  for (; i + 1 < group.n; i += 2) {
    const F64x4 q0 = levelOf<SHIFTED, TABLE>(f, splat(x[i])), q1 = levelOf<SHIFTED, TABLE>(f, splat(x[i + 1]));
    const F64x4 w0 = splat(w[i]), w1 = splat(w[i + 1]), wq0 = w0 * q0, wq1 = w1 * q1;
    even = even + splat(static_cast<double>(w[i]) * x[i]) * q0;
    odd = odd + splat(static_cast<double>(w[i + 1]) * x[i + 1]) * q1;
    squares = squares + wq0 * q0;
    oddSquares = oddSquares + wq1 * q1;
    if (SHIFTED) levels = levels + (wq0 + wq1);
  }
  if (i < group.n) {
    const F64x4 level = levelOf<SHIFTED, TABLE>(f, splat(x[i])), weighted = splat(w[i]) * level;
    even = even + splat(static_cast<double>(w[i]) * x[i]) * level;
    squares = squares + weighted * level;
    if (SHIFTED) levels = levels + weighted;
  }
  storeDoubles(xq, even + odd);
  storeDoubles(qq, squares + oddSquares);
  if (SHIFTED) storeDoubles(q, levels);
}

static void fitSums(const FitGroup& group, const double* factors, const double* offsets, int32_t count, double* xq,
                    double* q, double* qq) {
  for (int32_t at = 0; at < count; at += kFitLanes) {
    const FitLanes f = fitLanes(group, factors, offsets, at);
    if (offsets) {
      sumFits<true, false>(group, f, xq + at, q + at, qq + at);
    } else if (group.levels) {
      sumFits<false, true>(group, f, xq + at, q, qq + at);
    } else {
      sumFits<false, false>(group, f, xq + at, q, qq + at);
    }
  }
}

template <bool SHIFTED, bool TABLE>
static inline F64x4 errorOf(const FitLanes& f, F64x4 scale, float value, float weight) {
  const F64x4 x = splat(value), product = scale * levelOf<SHIFTED, TABLE>(f, x);
  const F64x4 error = SHIFTED ? x - (product + f.offset) : x - product;
  return error * error * splat(weight);
}

template <bool SHIFTED, bool TABLE>
static inline F64x4 sumErrors(const FitGroup& group, const FitLanes& f, F64x4 scale, bool twoSums) {
  F64x4 even = splat(0), odd = splat(0);
  const float* x = group.x;
  const float* w = group.weights;
  int32_t i = 0;
  for (; i + 1 < group.n; i += 2) {
    even = even + errorOf<SHIFTED, TABLE>(f, scale, x[i], w[i]);
    const F64x4 second = errorOf<SHIFTED, TABLE>(f, scale, x[i + 1], w[i + 1]);
    if (twoSums) {
      odd = odd + second;
    } else {
      even = even + second;
    }
  }
  if (i < group.n) even = even + errorOf<SHIFTED, TABLE>(f, scale, x[i], w[i]);
  return twoSums ? even + odd : even;
}

static void fitErrors(const FitGroup& group, const double* factors, const double* scales, const double* offsets,
                      int32_t count, bool twoSums, double* errors) {
  for (int32_t at = 0; at < count; at += kFitLanes) {
    const FitLanes f = fitLanes(group, factors, offsets, at);
    const F64x4 scale = loadDoubles(scales + at);
    storeDoubles(errors + at, offsets        ? sumErrors<true, false>(group, f, scale, twoSums)
                              : group.levels ? sumErrors<false, true>(group, f, scale, twoSums)
                                             : sumErrors<false, false>(group, f, scale, twoSums));
  }
}
