// The inner loops of the refinement (offline/refine-block.cpp): one row's levels in one block of columns. Uses F64x4 of
// dense-double.inc.h and nearestLevel of fit-sums.inc.h.

/** Which of four lanes are not the same number: bit i for lane i; NaN is no number's equal. */
static inline int differingLanes(F64x4 a, F64x4 b) {
#if defined(__AVX__) && defined(_CMP_NEQ_UQ)
  __m256d x, y;
  memcpy(&x, &a, sizeof x);
  memcpy(&y, &b, sizeof y);
  return _mm256_movemask_pd(_mm256_cmp_pd(x, y, _CMP_NEQ_UQ));
#else
  double left[4], right[4];
  storeDoubles(left, a);
  storeDoubles(right, b);
  int lanes = 0;
  for (int i = 0; i < 4; i++) lanes |= (left[i] == right[i] ? 0 : 1) << i;
  return lanes;
#endif
}

/** COUNT vectors of columns of sum over rows i of levels[i] h[i]. */
template <int COUNT>
static inline void addRowsOf(int32_t n, int32_t ld, const double* h, const double* levels, double* product) {
  F64x4 sums[COUNT];
  LAYERWISE_UNROLL
  for (int c = 0; c < COUNT; c++) sums[c] = splat(0);
  for (int32_t i = 0; i < n; i++) {
    const F64x4 level = splat(levels[i]);
    const double* row = h + static_cast<int64_t>(i) * ld;
    LAYERWISE_UNROLL
    for (int c = 0; c < COUNT; c++) sums[c] = sums[c] + level * loadDoubles(row + 4 * c);
  }
  LAYERWISE_UNROLL
  for (int c = 0; c < COUNT; c++) storeDoubles(product + 4 * c, sums[c]);
}

static void levelProduct(int32_t n, int32_t ld, const double* h, const double* levels, double* product) {
  int32_t col = 0;
  for (; col + 32 <= ld; col += 32) addRowsOf<8>(n, ld, h + col, levels, product + col);
  for (; col < ld; col += 4) addRowsOf<1>(n, ld, h + col, levels, product + col);
}

/** The level nearest to y; the least one where y is not a number. */
template <bool TABLE>
static inline F64x4 nearestOf(const RefineRow& row, F64x4 y) {
  return TABLE ? tableLevel(y, row.levels) : nearestLevel(y, splat(row.least), splat(row.most));
}

/** Lanes of columns [i, i + 4) whose level another one would suit better, and all four such levels. */
template <bool TABLE>
static inline int wantedLevels(const RefineRow& row, int32_t i, double* wanted) {
  const F64x4 least = loadDoubles(row.values + i) - loadDoubles(row.gradient + i) / loadDoubles(row.diagonal + i);
  const F64x4 level = nearestOf<TABLE>(row, (least - splat(row.minimum)) * splat(row.inverse));
  storeDoubles(wanted, level);
  const F64x4 chosen = loadDoubles(row.chosen + i);
  int there = row.n - i < 4 ? (1 << (row.n - i)) - 1 : 15;
  if (row.zerosStay) there &= differingLanes(chosen, splat(0));
  return differingLanes(level, chosen) & there;
}

/** Gives column i another level where that lowers the error. */
static inline bool moveLevel(const RefineRow& row, int32_t i, double wanted) {
  const double level = wanted >= row.least ? wanted : row.least;
  const double product = row.scale * level;
  const double value = row.shifted ? product + row.minimum : product;
  const double step = value - row.values[i];
  if (!(step * (2 * row.gradient[i] + step * row.diagonal[i]) < 0)) return false;
  const double* h = row.h + static_cast<int64_t>(i) * row.ld;
  const F64x4 factor = splat(step);
  for (int32_t j = 0; j < row.ld; j += 4) {
    storeDoubles(row.gradient + j, loadDoubles(row.gradient + j) + factor * loadDoubles(h + j));
  }
  row.values[i] = value;
  row.chosen[i] = level;
  return true;
}

template <bool TABLE>
static inline bool sweepColumns(const RefineRow& row) {
  bool moved = false;
  for (int32_t i = 0; i < row.n; i += 4) {
    double wanted[4];
    int lanes = wantedLevels<TABLE>(row, i, wanted);
    for (int lane = 0; lanes != 0; lane++) {
      const int bit = 1 << lane;
      if ((lanes & bit) == 0) continue;
      lanes &= ~bit;
      if (!moveLevel(row, i + lane, wanted[lane])) continue;
      moved = true;
      // The columns after it see a new gradient, those up to it have had their turn.
      lanes = wantedLevels<TABLE>(row, i, wanted) & ~(2 * bit - 1);
    }
  }
  return moved;
}

static bool sweepLevels(const RefineRow& row) {
  return row.levels ? sweepColumns<true>(row) : sweepColumns<false>(row);
}
