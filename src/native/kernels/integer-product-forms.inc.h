// One integer product for each form of an integer codec. Included at the end of integer-product-<isa>.inc.h, which
// defines
//   productOf<F>(w, tileFrom, tileTo, x, rows, y, ldy)    for F a Form (integer-form.inc.h)

template <int kBits, bool kTwoLevel>
static void productOfScales(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x,
                            int32_t rows, float* y, int64_t ldy) {
  if constexpr (kBits <= kMostTableBits) {
    if (w.table) return productOf<Form<kBits, false, true, kTwoLevel>>(w, tileFrom, tileTo, x, rows, y, ldy);
  }
  if (w.asymmetric) return productOf<Form<kBits, true, false, kTwoLevel>>(w, tileFrom, tileTo, x, rows, y, ldy);
  productOf<Form<kBits, false, false, kTwoLevel>>(w, tileFrom, tileTo, x, rows, y, ldy);
}

template <int kBits>
static void productOfBits(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                          float* y, int64_t ldy) {
  if constexpr (maybeSparse(kBits)) {
    if (w.sections > 0) return productOf<Form<kBits, false, false, false, true>>(w, tileFrom, tileTo, x, rows, y, ldy);
  }
  if (w.twoLevel) return productOfScales<kBits, true>(w, tileFrom, tileTo, x, rows, y, ldy);
  productOfScales<kBits, false>(w, tileFrom, tileTo, x, rows, y, ldy);
}

static void integerProduct(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x,
                           int32_t rows, float* y, int64_t ldy) {
  switch (w.kind) {
    case CodecKind::Q2: return productOfBits<2>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q3: return productOfBits<3>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q4: return productOfBits<4>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q5: return productOfBits<5>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q6: return productOfBits<6>(w, tileFrom, tileTo, x, rows, y, ldy);
    default: return productOfBits<8>(w, tileFrom, tileTo, x, rows, y, ldy);
  }
}
