// The integer product where a register or four hold a whole tile's 16 rows: the walk over tiles, chunks and rows of
// activations. The including file defines, for its instruction set:
//   ChunkCodes                          a chunk's codes, ready to multiply
//   chunkCodes<kBits>(levels)           reads them
//   codeSums<kBits>(codes, x, start)    start + exact dot products of the codes with 32 activations, as floats (exact)
//   prefetchLine(p)

/** Bytes read ahead of a tile's stream. */
static constexpr int kPrefetch = 2048;
/** Rows of activations that one reading of the weights serves. */
static constexpr int32_t kRowBlock = 128;

/** A place in a tile's stream of groups and chunks. */
struct TileStream {
  const uint8_t* header;
  const uint8_t* levels;
  int32_t chunksLeft;
};

static inline TileStream streamOf(const PackedMatrix& w, int32_t tile) {
  const uint8_t* header = groupAt(w, tile, 0);
  return {header, header + groupHeaderBytes(w.asymmetric), w.chunksPerGroup};
}

template <int kBits, bool kAsymmetric>
static inline TileStream nextChunk(TileStream at, int32_t chunksPerGroup) {
  const uint8_t* after = at.levels + 64 * kBits;
  if (at.chunksLeft > 1) return {at.header, after, at.chunksLeft - 1};
  return {after, after + groupHeaderBytes(kAsymmetric), chunksPerGroup};
}

template <int kBits>
static inline void prefetchChunk(const uint8_t* levels) {
  for (int line = 0; line < kBits; line++) prefetchLine(levels + kPrefetch + 64 * line);
}

/** A group's numbers of the 16 rows. */
struct TileScales {
  F32x16 scale, minimum;
};

template <bool kAsymmetric>
static inline TileScales tileScales(const uint8_t* header) {
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(header);
  const F32x16 scale = fromF16(halves);
  return {scale, kAsymmetric ? fromF16(halves + kTileRows) : scale};
}

/** acc takes in one chunk of one row of activations, as kernel-table.h says. */
template <int kBits, bool kAsymmetric>
static inline F32x16 addChunk(const ChunkCodes& codes, TileScales w, const int8_t* x, float xscale, int32_t xsum,
                              F32x16 acc) {
  // Signed levels are codes less 2^(bits-1): that much of the activations' sum.
  const int32_t start = kAsymmetric ? 0 : -xsum * (1 << (kBits - 1));
  acc = fma(codeSums<kBits>(codes, x, start), mul(w.scale, broadcast(xscale)), acc);
  return kAsymmetric ? fma(w.minimum, broadcast(xscale * static_cast<float>(xsum)), acc) : acc;
}

/** 16 sums of a row of activations, as many as the matrix has. */
static inline void writeTile(const PackedMatrix& w, int32_t tile, F32x16 acc, float* y) {
  const int32_t first = tile * kTileRows;
  put(y + first, acc, w.rows - first);
}

/** One row of activations: the sums stay in registers. */
template <int kBits, bool kAsymmetric>
static void productOfRow(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, float* y) {
  for (int32_t tile = tileFrom; tile < tileTo; tile++) {
    TileStream at = streamOf(w, tile);
    F32x16 acc = broadcast(0);
    int64_t i = 0;
    for (int32_t c = 0; c < w.chunks; c++, i += x.stride) {
      prefetchChunk<kBits>(at.levels);
      acc = addChunk<kBits, kAsymmetric>(chunkCodes<kBits>(at.levels), tileScales<kAsymmetric>(at.header),
                                         x.levels + i * kChunkCols, x.scales[i], x.sums[i], acc);
      at = nextChunk<kBits, kAsymmetric>(at, w.chunksPerGroup);
    }
    writeTile(w, tile, acc, y);
  }
}

/** Rows [from, from + rows) of activations, at most kRowBlock: a chunk's codes are read once for all of them. */
template <int kBits, bool kAsymmetric>
static void productOfRows(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t from,
                          int32_t rows, float* y, int64_t ldy) {
  alignas(64) float sums[kRowBlock * kTileRows];
  for (int32_t tile = tileFrom; tile < tileTo; tile++) {
    for (int32_t r = 0; r < rows; r++) store(sums + r * kTileRows, broadcast(0));
    TileStream at = streamOf(w, tile);
    for (int32_t c = 0; c < w.chunks; c++) {
      prefetchChunk<kBits>(at.levels);
      const ChunkCodes codes = chunkCodes<kBits>(at.levels);
      const TileScales scales = tileScales<kAsymmetric>(at.header);
      const int64_t i = static_cast<int64_t>(c) * x.stride + from;
      for (int32_t r = 0; r < rows; r++) {
        float* acc = sums + r * kTileRows;
        store(acc, addChunk<kBits, kAsymmetric>(codes, scales, x.levels + (i + r) * kChunkCols, x.scales[i + r],
                                                x.sums[i + r], load(acc)));
      }
      at = nextChunk<kBits, kAsymmetric>(at, w.chunksPerGroup);
    }
    for (int32_t r = 0; r < rows; r++) writeTile(w, tile, load(sums + r * kTileRows), y + (from + r) * ldy);
  }
}

template <int kBits, bool kAsymmetric>
static void productOf(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                      float* y, int64_t ldy) {
  if (rows == 1) return productOfRow<kBits, kAsymmetric>(w, tileFrom, tileTo, x, y);
  for (int32_t from = 0; from < rows; from += kRowBlock) {
    const int32_t count = rows - from < kRowBlock ? rows - from : kRowBlock;
    productOfRows<kBits, kAsymmetric>(w, tileFrom, tileTo, x, from, count, y, ldy);
  }
}

template <int kBits>
static void productOf(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                      float* y, int64_t ldy) {
  if (w.asymmetric) return productOf<kBits, true>(w, tileFrom, tileTo, x, rows, y, ldy);
  productOf<kBits, false>(w, tileFrom, tileTo, x, rows, y, ldy);
}

static void integerProduct(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x,
                           int32_t rows, float* y, int64_t ldy) {
  switch (w.kind) {
    case CodecKind::Q2: return productOf<2>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q3: return productOf<3>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q4: return productOf<4>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q5: return productOf<5>(w, tileFrom, tileTo, x, rows, y, ldy);
    case CodecKind::Q6: return productOf<6>(w, tileFrom, tileTo, x, rows, y, ldy);
    default: return productOf<8>(w, tileFrom, tileTo, x, rows, y, ldy);
  }
}
