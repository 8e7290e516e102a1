// The integer product in plain code: the definition of what the fast ones compute. Included by device-kernels.inc.h.

/** Rows of activations that share one reading of the codes. */
static constexpr int kScalarRows = 8;

/** Codes of a chunk, or signed levels where the codec is symmetric: [row of the tile][column]. */
struct ChunkLevels {
  int32_t of[kTileRows][kChunkCols];
};

template <class F>
static void readLevels(const uint8_t* levels, ChunkLevels* out) {
  for (int quad = 0; quad < 8; quad++) {
    const U32x16 codes = levelCodes<F::kBits, F::kTable>(levels, quad);
    for (int r = 0; r < kTileRows; r++) {
      for (int j = 0; j < 4; j++) {
        out->of[r][4 * quad + j] = static_cast<int32_t>(codes.v[r] >> (8 * j) & 255u) - F::kMiddle;
      }
    }
  }
}

/** acc [16] of one row of activations takes in one chunk. */
static void addChunk(const ChunkLevels& levels, const TileScales& scales, bool asymmetric, const QuantizedRows& x,
                     int64_t at, float* acc) {
  const int8_t* activations = x.levels + at * kChunkCols;
  for (int r = 0; r < kTileRows; r++) {
    int32_t sum = 0;
    for (int c = 0; c < kChunkCols; c++) sum += levels.of[r][c] * activations[c];
    acc[r] = __builtin_fmaf(static_cast<float>(sum), scales.scale.v[r] * x.scales[at], acc[r]);
    if (asymmetric) acc[r] = __builtin_fmaf(scales.minimum.v[r], x.scales[at] * static_cast<float>(x.sums[at]), acc[r]);
  }
}

template <class F>
static void productTile(const PackedMatrix& w, int32_t tile, const QuantizedRows& x, int32_t from, int32_t to, float* y,
                        int64_t ldy) {
  float acc[kScalarRows][kTileRows] = {};
  ChunkRoom<F::kSparse> room;
  const TileScales rows = rowScales<F>(w, tile);
  for (int32_t chunk = 0; chunk < w.chunks; chunk++) {
    const TileScales scales = tileScales<F>(groupAt(w, tile, chunk / w.chunksPerGroup), rows);
    ChunkLevels levels;
    readLevels<F>(planesOf<F>(w, levelsAt(w, tile, chunk), chunk, &room), &levels);
    for (int32_t r = from; r < to; r++) {
      addChunk(levels, scales, F::kAsymmetric, x, static_cast<int64_t>(chunk) * x.stride + r, acc[r - from]);
    }
  }
  const int32_t first = tile * kTileRows;
  const int32_t count = w.rows - first < kTileRows ? w.rows - first : kTileRows;
  for (int32_t r = from; r < to; r++) {
    for (int32_t i = 0; i < count; i++) y[r * ldy + first + i] = acc[r - from][i];
  }
}

template <class F>
static void productOf(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                      float* y, int64_t ldy) {
  for (int32_t tile = tileFrom; tile < tileTo; tile++) {
    for (int32_t from = 0; from < rows; from += kScalarRows) {
      const int32_t to = rows - from < kScalarRows ? rows : from + kScalarRows;
      productTile<F>(w, tile, x, from, to, y, ldy);
    }
  }
}

#include "integer-product-forms.inc.h"
