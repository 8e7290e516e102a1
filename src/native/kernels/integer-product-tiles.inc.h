// The integer product where a register or four hold a whole tile's 16 rows: the walk over tiles, chunks and rows of
// activations. The including file defines, for its instruction set:
//   ChunkCodes                          a chunk's codes, ready to multiply
//   chunkCodes<F>(levels)               reads them, of a Form (integer-form.inc.h)
//   codeSums<kBits>(codes, x, start)    start + exact dot products of the codes with 32 activations, as floats (exact)
//   Lanes, with integer-lanes.inc.h

/** Rows of activations that one reading of the weights serves. */
static constexpr int32_t kRowBlock = 128;

/** acc takes in one chunk of one row of activations, as device-kernels.h says. */
template <class F>
static inline F32x16 addChunk(const ChunkCodes& codes, TileScales w, const int8_t* x, float xscale, int32_t xsum,
                              F32x16 acc) {
  // Signed levels are codes less kMiddle: that much of the activations' sum.
  acc = fma(codeSums<F::kLevelBits>(codes, x, -xsum * F::kMiddle), mul(w.scale, broadcast(xscale)), acc);
  return F::kAsymmetric ? fma(w.minimum, broadcast(xscale * static_cast<float>(xsum)), acc) : acc;
}

/** 16 sums of a row of activations, as many as the matrix has. */
static inline void writeTile(const PackedMatrix& w, int32_t tile, F32x16 acc, float* y) {
  const int32_t first = tile * kTileRows;
  put(y + first, acc, w.rows - first);
}

/** One row of activations: the sums stay in registers. */
template <class F>
static void productOfRow(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, float* y) {
  const int32_t chunkBytes = chunkBytesOf<F>(w);
  ChunkRoom<F::kSparse> room;
  for (int32_t tile = tileFrom; tile < tileTo; tile++) {
    TileStream at = TileStream::of(w, tile);
    const TileScales own = rowScales<F>(w, tile);
    F32x16 acc = broadcast(0);
    int64_t i = 0;
    for (int32_t c = 0; c < w.chunks; c++, i += x.stride) {
      at.prefetch(chunkBytes);
      acc = addChunk<F>(chunkCodes<F>(planesOf<F>(w, at.levels, c, &room)), tileScales<F>(at.header, own),
                                         x.levels + i * kChunkCols, x.scales[i], x.sums[i], acc);
      at = at.next(chunkBytes, F::kHeader, w.chunksPerGroup);
    }
    writeTile(w, tile, acc, y);
  }
}

/** Rows [from, from + rows) of activations, at most kRowBlock: a chunk's codes are read once for all of them. */
template <class F>
static void productOfRows(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t from,
                          int32_t rows, float* y, int64_t ldy) {
  alignas(64) float sums[kRowBlock * kTileRows];
  const int32_t chunkBytes = chunkBytesOf<F>(w);
  ChunkRoom<F::kSparse> room;
  for (int32_t tile = tileFrom; tile < tileTo; tile++) {
    for (int32_t r = 0; r < rows; r++) store(sums + r * kTileRows, broadcast(0));
    TileStream at = TileStream::of(w, tile);
    const TileScales own = rowScales<F>(w, tile);
    for (int32_t c = 0; c < w.chunks; c++) {
      at.prefetch(chunkBytes);
      const ChunkCodes codes = chunkCodes<F>(planesOf<F>(w, at.levels, c, &room));
      const TileScales scales = tileScales<F>(at.header, own);
      const int64_t i = static_cast<int64_t>(c) * x.stride + from;
      for (int32_t r = 0; r < rows; r++) {
        float* acc = sums + r * kTileRows;
        store(acc, addChunk<F>(codes, scales, x.levels + (i + r) * kChunkCols, x.scales[i + r],
                                                x.sums[i + r], load(acc)));
      }
      at = at.next(chunkBytes, F::kHeader, w.chunksPerGroup);
    }
    for (int32_t r = 0; r < rows; r++) writeTile(w, tile, load(sums + r * kTileRows), y + (from + r) * ldy);
  }
}

template <class F>
static void productOf(const PackedMatrix& w, int32_t tileFrom, int32_t tileTo, const QuantizedRows& x, int32_t rows,
                      float* y, int64_t ldy) {
  if (rows == 1) return productOfRow<F>(w, tileFrom, tileTo, x, y);
  for (int32_t from = 0; from < rows; from += kRowBlock) {
    const int32_t count = rows - from < kRowBlock ? rows - from : kRowBlock;
    productOfRows<F>(w, tileFrom, tileTo, x, from, count, y, ldy);
  }
}

#include "integer-product-forms.inc.h"
