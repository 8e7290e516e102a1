// What rows of logits add up to beside a reference: the sums of a KL divergence. Included by offline-kernels.inc.h;
// uses logit-rows.inc.h.

/** Ids whose logit is larger than that of `id`, or as large with a lower id. */
static int64_t idsAhead(const float* x, int64_t n, int64_t id) {
  const F32x16 own = broadcast(x[id]), none = broadcast(0), one = broadcast(1);
  F32x16 count = none;
  for (int64_t i = 0; i < n; i += 16) {
    const int64_t left = n - i;
    const F32x16 logits = get(x + i, left);
    F32x16 ahead = selectLess(own, logits, one, none);
    if (i < id) {
      // Lanes before the id also count where they equal it. A NaN counts too: nothing is said of such rows.
      const int before = static_cast<int>(id - i < 16 ? id - i : 16);
      ahead = selectLanes(0, before, selectLess(logits, own, none, one), ahead);
    }
    count = add(count, left < 16 ? selectLanes(0, static_cast<int>(left), ahead, none) : ahead);
  }
  // Lanes hold whole numbers below 2^24.
  return static_cast<int64_t>(totalOf({count, none}));
}

/** Sum of e^(x - largest). */
static double massOf(const float* x, int64_t n, float largest) {
  const F32x16 most = broadcast(largest), none = broadcast(0);
  CarriedSum mass = {none, none};
  int64_t i = 0;
  for (; i + 64 <= n; i += 64) {
    F32x16 sum = expOfNegative(sub(load(x + i), most));
    LAYERWISE_UNROLL
    for (int k = 1; k < 4; k++) sum = add(sum, expOfNegative(sub(load(x + i + 16 * k), most)));
    addTo(&mass, sum);
  }
  for (; i < n; i += 16) {
    const int64_t left = n - i;
    const F32x16 term = expOfNegative(sub(get(x + i, left), most));
    addTo(&mass, left < 16 ? selectLanes(0, static_cast<int>(left), term, none) : term);
  }
  return totalOf(mass);
}

/** What is taken from the reference's logits, from the row's, and from their differences. */
struct RowShifts {
  F32x16 reference, row, both;
};

/** Sixteen ids' shares of the sums of RowSums. */
struct RowTerms {
  F32x16 referenceMass, mass, slope, excess;
};

/**
 * e^d - 1 - d of |d| <= 1: d^2 times a polynomial (interpolated at Chebyshev's nodes), relative error 1.8e-8 before
 * rounding.
 */
static inline F32x16 expExcess(F32x16 d) {
  F32x16 p = fma(d, broadcast(0x1.78a70ep-19f), broadcast(0x1.a971fcp-16f));
  p = fma(p, d, broadcast(0x1.a009p-13f));
  p = fma(p, d, broadcast(0x1.6bff52p-10f));
  p = fma(p, d, broadcast(0x1.11111ep-7f));
  p = fma(p, d, broadcast(0x1.55557ap-5f));
  p = fma(p, d, broadcast(0x1.555556p-3f));
  p = fma(p, d, broadcast(0.5f));
  return mul(mul(d, d), p);
}

LAYERWISE_INLINE static inline RowTerms termsOf(F32x16 reference, F32x16 row, const RowShifts& shifts) {
  const F32x16 u = expOfNegative(sub(reference, shifts.reference)), v = expOfNegative(sub(row, shifts.row));
  // Of near rows the first difference is exact.
  const F32x16 d = sub(sub(row, reference), shifts.both), slope = mul(u, d);
  // Far from 0 e^d u is v, which does not overflow; an infinite or NaN difference ends up there.
  const F32x16 far = sub(sub(v, u), slope);
  return {u, v, slope, selectLess(absolute(d), broadcast(1), mul(u, expExcess(d)), far)};
}

LAYERWISE_INLINE static inline RowTerms operator+(const RowTerms& a, const RowTerms& b) {
  return {add(a.referenceMass, b.referenceMass), add(a.mass, b.mass), add(a.slope, b.slope), add(a.excess, b.excess)};
}

/** The terms of the first n lanes, 0 in the others. */
static inline RowTerms firstTerms(int n, const RowTerms& x) {
  const F32x16 none = broadcast(0);
  return {selectLanes(0, n, x.referenceMass, none), selectLanes(0, n, x.mass, none), selectLanes(0, n, x.slope, none),
          selectLanes(0, n, x.excess, none)};
}

struct CarriedTerms {
  CarriedSum referenceMass, mass, slope, excess;
};

LAYERWISE_INLINE static inline void addTo(CarriedTerms* to, const RowTerms& x) {
  addTo(&to->referenceMass, x.referenceMass);
  addTo(&to->mass, x.mass);
  addTo(&to->slope, x.slope);
  addTo(&to->excess, x.excess);
}

static void sumTerms(const float* reference, const float* row, int64_t n, const RowShifts& shifts, RowSums* out) {
  const CarriedSum zero = {broadcast(0), broadcast(0)};
  CarriedTerms sums = {zero, zero, zero, zero};
  int64_t i = 0;
  // Four vectors at a time are added in f32: a sum of four loses no more than the terms have lost already.
  for (; i + 64 <= n; i += 64) {
    RowTerms terms = termsOf(load(reference + i), load(row + i), shifts);
    LAYERWISE_UNROLL
    for (int k = 16; k < 64; k += 16) terms = terms + termsOf(load(reference + i + k), load(row + i + k), shifts);
    addTo(&sums, terms);
  }
  for (; i < n; i += 16) {
    const int64_t left = n - i;
    const RowTerms terms = termsOf(get(reference + i, left), get(row + i, left), shifts);
    addTo(&sums, left < 16 ? firstTerms(static_cast<int>(left), terms) : terms);
  }
  out->referenceMass = totalOf(sums.referenceMass);
  out->mass = totalOf(sums.mass);
  out->slope = totalOf(sums.slope);
  out->excess = totalOf(sums.excess);
}

static void sumLogits(const float* reference, const float* row, int64_t n, RowSums* out) {
  *out = RowSums{};
  out->largest = largestId(row, n);
  const float most = row[out->largest];
  if (reference == nullptr) {
    out->mass = massOf(row, n, most);
    return;
  }
  out->referenceLargest = largestId(reference, n);
  const float referenceMost = reference[out->referenceLargest];
  out->shift = most - referenceMost;
  out->ahead = out->largest == out->referenceLargest ? 0 : idsAhead(row, n, out->referenceLargest);
  sumTerms(reference, row, n, {broadcast(referenceMost), broadcast(most), broadcast(out->shift)}, out);
}
