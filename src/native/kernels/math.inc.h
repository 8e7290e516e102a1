// exp, logistic and normal distribution functions of sixteen floats, from operations that every table rounds alike.
// Included by elementwise.inc.h. The polynomials are minimax fits (Remez) with coefficients rounded to f32.

/** x = n ln 2 + r, |r| <= ln 2 / 2, n whole: e^r, and n. */
static inline F32x16 expOfRest(F32x16 x, F32x16* n) {
  *n = roundNearest(mul(x, broadcast(0x1.715476p+0f)));
  // ln 2 in two parts.
  F32x16 r = fma(*n, broadcast(-0x1.62e430p-1f), x);
  r = fma(*n, broadcast(0x1.05c610p-29f), r);
  // e^r = 1 + r + r^2 q(r), relative error 3.1e-9 before rounding.
  F32x16 q = fma(r, broadcast(0x1.6a2432p-10f), broadcast(0x1.1239e2p-7f));
  q = fma(q, r, broadcast(0x1.5558f2p-5f));
  q = fma(q, r, broadcast(0x1.555492p-3f));
  q = fma(q, r, broadcast(0x1.fffffcp-2f));
  q = fma(q, r, broadcast(1.0f));
  return fma(q, r, broadcast(1.0f));
}

/** e^x within 1 ulp (0.89 measured). 0 below about -103.97, infinity above about 88.72; a NaN stays one. */
static inline F32x16 expOf(F32x16 x) {
  // Beyond these ends the result is 0 or infinity anyway; the operands' order lets a NaN through.
  F32x16 n;
  const F32x16 q = expOfRest(max(broadcast(-105.0f), min(broadcast(90.0f), x)), &n);
  // 2^n in two factors: n reaches from -151 to 130, and only the last product may round, overflow or underflow.
  const F32x16 half = roundNearest(mul(n, broadcast(0.5f)));
  return mul(mul(q, powerOfTwo(half)), powerOfTwo(sub(n, half)));
}

/** e^x of x <= 0 within 1 ulp, but never below e^-87 = 1.6e-38, which is not yet subnormal; a NaN stays one. */
static inline F32x16 expOfNegative(F32x16 x) {
  F32x16 n;
  const F32x16 q = expOfRest(max(broadcast(-87.0f), x), &n);
  return mul(q, powerOfTwo(n));
}

/** x / (1 + e^-y): x times the logistic function of y. */
static inline F32x16 timesLogistic(F32x16 x, F32x16 y) {
  return div(x, add(broadcast(1.0f), expOf(sub(broadcast(0.0f), y))));
}

/**
 * Of t >= 0: the normal distribution's tail beyond t, as e^(-t^2/2) times a polynomial in s = 1 / (1 + 0.3 t). Relative
 * error of the polynomial 5.8e-8 up to t = 14, near where the product becomes 0 in f32.
 */
static inline F32x16 normalTail(F32x16 t) {
  const F32x16 s = div(broadcast(1.0f), fma(broadcast(0.3f), t, broadcast(1.0f)));
  F32x16 p = fma(s, broadcast(0x1.3a6516p-5f), broadcast(-0x1.5a73bcp-3f));
  p = fma(p, s, broadcast(0x1.d44bb0p-3f));
  p = fma(p, s, broadcast(-0x1.395ebep-4f));
  p = fma(p, s, broadcast(0x1.23e9a2p-3f));
  p = fma(p, s, broadcast(0x1.83d2e6p-4f));
  p = fma(p, s, broadcast(0x1.f362bep-4f));
  p = fma(p, s, broadcast(0x1.e96becp-4f));
  p = fma(p, s, broadcast(0x1.e117b6p-18f));
  return mul(expOf(mul(mul(t, t), broadcast(-0.5f))), p);
}

/**
 * x times the normal distribution function of x, GELU in its exact form: max(x, 0) less |x| times the tail beyond |x|.
 */
static inline F32x16 geluErf(F32x16 x) {
  // The tail is 0 long before 40; an infinity times 0 would be a NaN.
  const F32x16 t = min(broadcast(40.0f), absolute(x));
  return sub(max(broadcast(0.0f), x), mul(t, normalTail(t)));
}

/** GELU in its tanh form: x (1 + tanh u) / 2 = x / (1 + e^-2u), u = sqrt(2 / pi) (x + 0.044715 x^3). */
static inline F32x16 geluTanh(F32x16 x) {
  const F32x16 cubic = fma(mul(x, x), broadcast(0.044715f), broadcast(1.0f));
  return timesLogistic(x, mul(mul(x, broadcast(0x1.988454p+0f)), cubic));
}
