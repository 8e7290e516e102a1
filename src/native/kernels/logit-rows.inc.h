// What a row of logits says: its largest id, sums of exponentials, the sums of an entropy. Included by
// device-kernels.inc.h; uses elementwise.inc.h.

/** A sum of vectors, lane by lane, and beside it what its roundings dropped (Knuth's two-sum): as good as a double. */
struct CarriedSum {
  F32x16 sum, rest;
};

LAYERWISE_INLINE static inline void addTo(CarriedSum* to, F32x16 x) {
  const F32x16 sum = add(to->sum, x), taken = sub(sum, to->sum);
  to->rest = add(to->rest, add(sub(to->sum, sub(sum, taken)), sub(x, taken)));
  to->sum = sum;
}

/** All lanes, in the order of sumOf. */
static inline double totalOf(const CarriedSum& x) {
  float sums[16], rests[16];
  store(sums, x.sum);
  store(rests, x.rest);
  double lanes[16];
  for (int i = 0; i < 16; i++) lanes[i] = static_cast<double>(sums[i]) + static_cast<double>(rests[i]);
  for (int width = 8; width > 0; width /= 2) {
    for (int i = 0; i < width; i++) lanes[i] += lanes[i + width];
  }
  return lanes[0];
}

/** The largest of x [from, to); NaNs are passed over, -infinity where there is nothing. */
static float mostOf(const float* x, int64_t from, int64_t to) {
  const F32x16 least = broadcast(-__builtin_inff());
  F32x16 most[4] = {least, least, least, least};
  int64_t i = from;
  for (; i + 64 <= to; i += 64) {
    LAYERWISE_UNROLL
    for (int k = 0; k < 4; k++) most[k] = max(load(x + i + 16 * k), most[k]);
  }
  for (; i + 16 <= to; i += 16) most[0] = max(load(x + i), most[0]);
  if (i < to) {
    const int left = static_cast<int>(to - i);
    most[0] = max(selectLanes(0, left, loadPart(x + i, left), least), most[0]);
  }
  return maxOf(max(max(most[0], most[1]), max(most[2], most[3])));
}

/** The first id of the largest logit; NaNs are passed over, 0 where nothing is above -infinity. */
static int64_t largestId(const float* x, int64_t n) {
  // Only the block that has the largest is searched for its place.
  constexpr int64_t kBlock = 1024;
  float best = -__builtin_inff();
  int64_t at = 0;
  for (int64_t from = 0; from < n; from += kBlock) {
    const int64_t to = n - from < kBlock ? n : from + kBlock;
    const float found = mostOf(x, from, to);
    if (found > best) {
      best = found;
      at = from;
    }
  }
  // Nothing before `at` is the largest; without one above -infinity the search would find the first of those.
  if (best == -__builtin_inff()) return 0;
  while (x[at] != best) at++;
  return at;
}

/** Sums of u = e^d and of u d, d = x - largest. */
static void sumAnswer(const float* x, int64_t n, float largest, RowAnswer* out) {
  const F32x16 most = broadcast(largest), none = broadcast(0);
  CarriedSum mass = {none, none}, slope = {none, none};
  int64_t i = 0;
  // Four vectors at a time are added in f32, as in massOf (logit-sums.inc.h).
  for (; i + 64 <= n; i += 64) {
    F32x16 d = sub(load(x + i), most), u = expOfNegative(d);
    F32x16 sum = u, product = mul(u, d);
    LAYERWISE_UNROLL
    for (int k = 1; k < 4; k++) {
      d = sub(load(x + i + 16 * k), most);
      u = expOfNegative(d);
      sum = add(sum, u);
      product = fma(u, d, product);
    }
    addTo(&mass, sum);
    addTo(&slope, product);
  }
  for (; i < n; i += 16) {
    const int64_t left = n - i;
    const F32x16 d = sub(get(x + i, left), most), u = expOfNegative(d), product = mul(u, d);
    const int lanes = static_cast<int>(left < 16 ? left : 16);
    addTo(&mass, lanes < 16 ? selectLanes(0, lanes, u, none) : u);
    addTo(&slope, lanes < 16 ? selectLanes(0, lanes, product, none) : product);
  }
  out->mass = totalOf(mass);
  out->slope = totalOf(slope);
}

static void answerLogits(const float* row, int64_t n, RowAnswer* out) {
  const int64_t largest = largestId(row, n);
  const float before = mostOf(row, 0, largest), after = mostOf(row, largest + 1, n);
  float second[16];
  store(second, expOfNegative(broadcast((before > after ? before : after) - row[largest])));
  out->largest = largest;
  out->second = second[0];
  sumAnswer(row, n, row[largest], out);
}
