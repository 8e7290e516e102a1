// Products and triangular solves in doubles. A product and the difference it goes into are rounded one after the other,
// never fused: plain TypeScript then gives the same bits, and so does every blocking of a sum, since it is carried on
// in order.

#if defined(__GNUC__)
/** Four doubles; the compiler splits them where registers are narrower. */
typedef double F64x4 __attribute__((vector_size(32)));

static inline F64x4 splat(double x) { return F64x4{x, x, x, x}; }
#else
struct F64x4 {
  double v[4];
};

static inline F64x4 splat(double x) { return F64x4{{x, x, x, x}}; }
static inline F64x4 operator+(F64x4 a, F64x4 b) {
  for (int i = 0; i < 4; i++) a.v[i] += b.v[i];
  return a;
}
static inline F64x4 operator-(F64x4 a, F64x4 b) {
  for (int i = 0; i < 4; i++) a.v[i] -= b.v[i];
  return a;
}
static inline F64x4 operator*(F64x4 a, F64x4 b) {
  for (int i = 0; i < 4; i++) a.v[i] *= b.v[i];
  return a;
}
static inline F64x4 operator/(F64x4 a, F64x4 b) {
  for (int i = 0; i < 4; i++) a.v[i] /= b.v[i];
  return a;
}
#endif

static inline F64x4 loadDoubles(const double* p) {
  F64x4 out;
  memcpy(&out, p, sizeof out);
  return out;
}

static inline void storeDoubles(double* p, F64x4 x) { memcpy(p, &x, sizeof x); }

/** Columns of a row that lie in the tile; those beyond are worked on in a copy and dropped. */
static inline void loadEight(const double* p, int32_t n, F64x4* low, F64x4* high) {
  double part[8] = {};
  if (n < 8) p = static_cast<const double*>(memcpy(part, p, static_cast<size_t>(n) * sizeof(double)));
  *low = loadDoubles(p);
  *high = loadDoubles(p + 4);
}

static inline void storeEight(double* p, int32_t n, F64x4 low, F64x4 high) {
  double part[8];
  double* to = n < 8 ? part : p;
  storeDoubles(to, low);
  storeDoubles(to + 4, high);
  if (n < 8) memcpy(p, part, static_cast<size_t>(n) * sizeof(double));
}

/** Takes the products of a row's factor with eight numbers of b from each row. */
template <int ROWS>
static inline void subtractProducts(const double* factors, const double* b, F64x4* low, F64x4* high) {
  const F64x4 b0 = loadDoubles(b), b1 = loadDoubles(b + 4);
  LAYERWISE_UNROLL
  for (int r = 0; r < ROWS; r++) {
    const F64x4 factor = splat(factors[r]);
    low[r] = low[r] - factor * b0;
    high[r] = high[r] - factor * b1;
  }
}

template <int ROWS>
static inline void subtractRows(int64_t k, const double* a, const double* b, double* c, int64_t ldc, int32_t nr) {
  F64x4 low[ROWS], high[ROWS];
  LAYERWISE_UNROLL
  for (int r = 0; r < ROWS; r++) loadEight(c + r * ldc, nr, &low[r], &high[r]);
  for (int64_t i = 0; i < k; i++) {
    subtractProducts<ROWS>(a + i * 6, b + i * 8, low, high);
  }
  LAYERWISE_UNROLL
  for (int r = 0; r < ROWS; r++) storeEight(c + r * ldc, nr, low[r], high[r]);
}

static void subtractTile(int64_t k, const double* a, const double* b, double* c, int64_t ldc, int32_t mr, int32_t nr) {
  switch (mr) {
    case 1: return subtractRows<1>(k, a, b, c, ldc, nr);
    case 2: return subtractRows<2>(k, a, b, c, ldc, nr);
    case 3: return subtractRows<3>(k, a, b, c, ldc, nr);
    case 4: return subtractRows<4>(k, a, b, c, ldc, nr);
    case 5: return subtractRows<5>(k, a, b, c, ldc, nr);
    default: return subtractRows<6>(k, a, b, c, ldc, nr);
  }
}

template <int ROWS>
static inline void subtractChosenRows(int64_t k, const double* a, const int32_t* chosen, const double* b,
                                      double* const* rows, int32_t nr) {
  F64x4 low[ROWS], high[ROWS];
  LAYERWISE_UNROLL
  for (int r = 0; r < ROWS; r++) loadEight(rows[r], nr, &low[r], &high[r]);
  for (int64_t i = 0; i < k; i++) {
    subtractProducts<ROWS>(a + i * 6, b + chosen[i] * 8, low, high);
  }
  LAYERWISE_UNROLL
  for (int r = 0; r < ROWS; r++) storeEight(rows[r], nr, low[r], high[r]);
}

static void subtractChosen(int64_t k, const double* a, const int32_t* chosen, const double* b, double* const* rows,
                           int32_t mr, int32_t nr) {
  switch (mr) {
    case 1: return subtractChosenRows<1>(k, a, chosen, b, rows, nr);
    case 2: return subtractChosenRows<2>(k, a, chosen, b, rows, nr);
    case 3: return subtractChosenRows<3>(k, a, chosen, b, rows, nr);
    case 4: return subtractChosenRows<4>(k, a, chosen, b, rows, nr);
    case 5: return subtractChosenRows<5>(k, a, chosen, b, rows, nr);
    default: return subtractChosenRows<6>(k, a, chosen, b, rows, nr);
  }
}

static void solveTile(int32_t n, const double* l, int64_t ldl, double* x) {
  // Four rows at a time against all finished rows, so that four chains of additions run side by side; then among
  // themselves.
  for (int32_t first = 0; first < n; first += 4) {
    const int32_t count = n - first < 4 ? n - first : 4;
    F64x4 low[4], high[4];
    LAYERWISE_UNROLL
    for (int r = 0; r < 4; r++) {
      const int32_t row = first + (r < count ? r : 0);
      low[r] = loadDoubles(x + row * 8);
      high[r] = loadDoubles(x + row * 8 + 4);
    }
    const double* rows[4];
    LAYERWISE_UNROLL
    for (int r = 0; r < 4; r++) rows[r] = l + (first + (r < count ? r : 0)) * ldl;
    for (int32_t j = 0; j < first; j++) {
      const F64x4 x0 = loadDoubles(x + j * 8), x1 = loadDoubles(x + j * 8 + 4);
      LAYERWISE_UNROLL
      for (int r = 0; r < 4; r++) {
        const F64x4 factor = splat(rows[r][j]);
        low[r] = low[r] - factor * x0;
        high[r] = high[r] - factor * x1;
      }
    }
    for (int r = 0; r < count; r++) {
      for (int j = 0; j < r; j++) {
        const F64x4 factor = splat(rows[r][first + j]);
        low[r] = low[r] - factor * low[j];
        high[r] = high[r] - factor * high[j];
      }
      const F64x4 diagonal = splat(rows[r][first + r]);
      low[r] = low[r] / diagonal;
      high[r] = high[r] / diagonal;
      storeDoubles(x + (first + r) * 8, low[r]);
      storeDoubles(x + (first + r) * 8 + 4, high[r]);
    }
  }
}
