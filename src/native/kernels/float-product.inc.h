// Products of f32 activations with packed matrices of any kind. Each sum runs over its columns (or, transposed, rows)
// in order, whatever else is computed beside it; all the ways below differ only in what stays in registers and caches.

/** Rows of activations whose sums fit the registers beside one tile's 16 outputs. */
constexpr int kProductRows = 6;
/** Columns expanded at a time: a panel of 16 KiB and six rows of activations stay in the first-level cache. */
constexpr int kBlockCols = 256;
/** Tiles expanded at a time by the transposed product: as many bytes. */
constexpr int kBlockTiles = 8;

/** Rows to take of those left: near equal parts, since a part of one or two rows waits for its additions. */
static inline int32_t productRows(int32_t left) {
  return left <= kProductRows ? left : left < 2 * kProductRows ? (left + 1) / 2 : kProductRows;
}

static inline F32x16 loadLanes(const float* p, int n) { return n == 16 ? load(p) : loadPart(p, n); }

static inline void storeLanes(float* p, F32x16 x, int n) {
  if (n == 16) {
    store(p, x);
  } else {
    storePart(p, x, n);
  }
}

/** Column c of a float kind's tile, or of an expanded panel (kind F32). */
template <CodecKind KIND>
static inline F32x16 columnOf(const uint8_t* tile, int64_t c) {
  if (KIND == CodecKind::F32) return load(reinterpret_cast<const float*>(tile) + c * 16);
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(tile) + c * 16;
  return KIND == CodecKind::F16 ? fromF16(halves) : fromBf16(halves);
}

/** One or two tiles of which columns [0, cols) are to be multiplied, and where their outputs go. */
struct ProductTiles {
  const uint8_t* columns;
  int64_t stride;  // bytes from the first tile's columns to the second's
  int32_t cols;
  int32_t lanes;   // outputs of the last tile
  bool first;      // sums start from 0; else they go on from y
};

/** ROWS rows of x with TILES tiles. */
template <CodecKind KIND, int TILES, int ROWS>
static inline void multiply(const ProductTiles& w, const float* x, int64_t ldx, float* y, int64_t ldy) {
  F32x16 sums[TILES][ROWS];
  LAYERWISE_UNROLL
  for (int t = 0; t < TILES; t++) {
    const int lanes = t == TILES - 1 ? w.lanes : 16;
    LAYERWISE_UNROLL
    for (int r = 0; r < ROWS; r++) sums[t][r] = w.first ? broadcast(0) : loadLanes(y + r * ldy + 16 * t, lanes);
  }
  for (int64_t c = 0; c < w.cols; c++) {
    F32x16 column[TILES];
    LAYERWISE_UNROLL
    for (int t = 0; t < TILES; t++) column[t] = columnOf<KIND>(w.columns + t * w.stride, c);
    LAYERWISE_UNROLL
    for (int r = 0; r < ROWS; r++) {
      const F32x16 factor = broadcast(x[r * ldx + c]);
      LAYERWISE_UNROLL
      for (int t = 0; t < TILES; t++) sums[t][r] = fma(column[t], factor, sums[t][r]);
    }
  }
  LAYERWISE_UNROLL
  for (int t = 0; t < TILES; t++) {
    const int lanes = t == TILES - 1 ? w.lanes : 16;
    LAYERWISE_UNROLL
    for (int r = 0; r < ROWS; r++) storeLanes(y + r * ldy + 16 * t, sums[t][r], lanes);
  }
}

/** All rows of x with one tile's columns. */
template <CodecKind KIND>
static void multiplyRows(const ProductTiles& w, const float* x, int64_t ldx, int32_t rows, float* y, int64_t ldy) {
  for (int32_t r = 0; r < rows;) {
    const int32_t take = productRows(rows - r);
    const float* xs = x + r * ldx;
    float* ys = y + r * ldy;
    switch (take) {
      case 1: multiply<KIND, 1, 1>(w, xs, ldx, ys, ldy); break;
      case 2: multiply<KIND, 1, 2>(w, xs, ldx, ys, ldy); break;
      case 3: multiply<KIND, 1, 3>(w, xs, ldx, ys, ldy); break;
      case 4: multiply<KIND, 1, 4>(w, xs, ldx, ys, ldy); break;
      case 5: multiply<KIND, 1, 5>(w, xs, ldx, ys, ldy); break;
      default: multiply<KIND, 1, 6>(w, xs, ldx, ys, ldy); break;
    }
    r += take;
  }
}

/** One or two rows: two tiles side by side, or the additions of the few sums would wait for each other. */
template <CodecKind KIND>
static void multiplyPair(const ProductTiles& w, const float* x, int64_t ldx, int32_t rows, float* y, int64_t ldy) {
  if (rows == 1) return multiply<KIND, 2, 1>(w, x, ldx, y, ldy);
  multiply<KIND, 2, 2>(w, x, ldx, y, ldy);
}

/** Outputs of a tile that the matrix has. */
static inline int32_t tileLanes(const PackedMatrix& w, int32_t tile) {
  const int32_t left = w.rows - tile * kTileRows;
  return left < kTileRows ? left : kTileRows;
}

/** Up to six rows with a float kind: columns are widened in registers, in one go over the tile. */
template <CodecKind KIND>
static void floatFewRows(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const float* x, int64_t ldx,
                         int32_t rows, float* y, int64_t ldy) {
  int32_t t = tileFrom;
  const uint8_t* tile = w.data + t * w.tileStride;
  for (; rows <= 2 && t + 2 <= tileTo; t += 2, tile += 2 * w.tileStride) {
    multiplyPair<KIND>({tile, w.tileStride, w.cols, tileLanes(w, t + 1), true}, x, ldx, rows, y + t * kTileRows, ldy);
  }
  for (; t < tileTo; t++, tile += w.tileStride) {
    multiplyRows<KIND>({tile, 0, w.cols, tileLanes(w, t), true}, x, ldx, rows, y + t * kTileRows, ldy);
  }
}

/** Columns [from, from + cols) of a tile as an f32 panel: in place for f32, else expanded into `panel`. */
static inline const uint8_t* panelOf(const PackedMatrix& w, int32_t tile, int32_t from, int32_t cols, float* panel) {
  if (w.kind == CodecKind::F32) return w.data + tile * w.tileStride + static_cast<int64_t>(from) * kTileRows * 4;
  for (int32_t c = 0; c < cols; c += kChunkCols) expandChunk(w, tile, (from + c) / kChunkCols, panel + c * kTileRows);
  return reinterpret_cast<const uint8_t*>(panel);
}

static void floatProduct(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const float* x, int64_t ldx,
                         int32_t rows, float* y, int64_t ldy, float* panel) {
  if (rows <= kProductRows) {
    if (w.kind == CodecKind::F32) return floatFewRows<CodecKind::F32>(w, tileFrom, tileTo, x, ldx, rows, y, ldy);
    if (w.kind == CodecKind::F16) return floatFewRows<CodecKind::F16>(w, tileFrom, tileTo, x, ldx, rows, y, ldy);
    if (w.kind == CodecKind::BF16) return floatFewRows<CodecKind::BF16>(w, tileFrom, tileTo, x, ldx, rows, y, ldy);
  }
  for (int32_t t = tileFrom; t < tileTo; t++) {
    for (int32_t from = 0; from < w.cols; from += kBlockCols) {
      const int32_t cols = w.cols - from < kBlockCols ? w.cols - from : kBlockCols;
      const ProductTiles block = {panelOf(w, t, from, cols, panel), 0, cols, tileLanes(w, t), from == 0};
      multiplyRows<CodecKind::F32>(block, x + from, ldx, rows, y + t * kTileRows, ldy);
    }
  }
}

/** A chunk of tiles [tile, tile + tiles) as [row][32 columns]; `stage` has room for one chunk. */
static inline void expandTransposed(const PackedMatrix& w, int32_t tile, int32_t tiles, int32_t chunk, float* stage,
                                    float* out) {
  for (int32_t t = 0; t < tiles; t++) {
    expandChunk(w, tile + t, chunk, stage);
    for (int c = 0; c < kChunkCols; c++) {
      for (int i = 0; i < kTileRows; i++) out[(t * kTileRows + i) * kChunkCols + c] = stage[c * kTileRows + i];
    }
  }
}

/** ROWS rows of dx, 32 columns or fewer, from `count` rows of the matrix. */
template <int ROWS>
static inline void multiplyTransposed(const float* panel, int32_t count, const float* dy, int64_t lddy, float* dx,
                                      int64_t lddx, int32_t cols, bool first) {
  for (int32_t half = 0; half < cols; half += 16) {
    const int lanes = cols - half < 16 ? cols - half : 16;
    F32x16 sums[ROWS];
    LAYERWISE_UNROLL
    for (int r = 0; r < ROWS; r++) sums[r] = first ? broadcast(0) : loadLanes(dx + r * lddx + half, lanes);
    for (int32_t i = 0; i < count; i++) {
      const F32x16 weights = load(panel + i * kChunkCols + half);
      LAYERWISE_UNROLL
      for (int r = 0; r < ROWS; r++) sums[r] = fma(weights, broadcast(dy[r * lddy + i]), sums[r]);
    }
    LAYERWISE_UNROLL
    for (int r = 0; r < ROWS; r++) storeLanes(dx + r * lddx + half, sums[r], lanes);
  }
}

static void multiplyTransposedRows(const float* panel, int32_t count, const float* dy, int64_t lddy, int32_t rows,
                                   float* dx, int64_t lddx, int32_t cols, bool first) {
  for (int32_t r = 0; r < rows;) {
    const int32_t take = productRows(rows - r);
    const float* from = dy + r * lddy;
    float* to = dx + r * lddx;
    switch (take) {
      case 1: multiplyTransposed<1>(panel, count, from, lddy, to, lddx, cols, first); break;
      case 2: multiplyTransposed<2>(panel, count, from, lddy, to, lddx, cols, first); break;
      case 3: multiplyTransposed<3>(panel, count, from, lddy, to, lddx, cols, first); break;
      case 4: multiplyTransposed<4>(panel, count, from, lddy, to, lddx, cols, first); break;
      case 5: multiplyTransposed<5>(panel, count, from, lddy, to, lddx, cols, first); break;
      default: multiplyTransposed<6>(panel, count, from, lddy, to, lddx, cols, first); break;
    }
    r += take;
  }
}

static void floatProductTransposed(const PackedMatrix& w, int32_t chunkFrom, int32_t chunkTo, const float* dy,
                                   int64_t lddy, int32_t rows, float* dx, int64_t lddx, float* panel) {
  float* stage = panel + kBlockTiles * kTileRows * kChunkCols;
  for (int32_t chunk = chunkFrom; chunk < chunkTo; chunk++) {
    const int32_t col = chunk * kChunkCols;
    const int32_t cols = w.cols - col < kChunkCols ? w.cols - col : kChunkCols;
    for (int32_t tile = 0; tile < w.tiles; tile += kBlockTiles) {
      const int32_t tiles = w.tiles - tile < kBlockTiles ? w.tiles - tile : kBlockTiles;
      const int32_t row = tile * kTileRows;
      const int32_t count = w.rows - row < tiles * kTileRows ? w.rows - row : tiles * kTileRows;
      expandTransposed(w, tile, tiles, chunk, stage, panel);
      multiplyTransposedRows(panel, count, dy + row, lddy, rows, dx + col, lddx, cols, row == 0);
    }
  }
}
