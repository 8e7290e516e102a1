// Packed levels to numbers. A value is fma(code, scale, offset), the offset being the minimum, or -scale * 2^(bits-1)
// where the codec is symmetric: exactly scale * code + offset rounded once, as src/codecs/integer-unpack.ts has it
// (also the sign of a zero). Included by device-kernels.inc.h inside the table's namespace.

/** The rows' own scales (which = 0) or minima (1) of a tile with two-level scales. */
static inline F32x16 rowNumbers(const PackedMatrix& w, int32_t tile, int which) {
  return fromBf16(reinterpret_cast<const uint16_t*>(w.data + tile * w.tileStride) + which * kTileRows);
}

/** A group's scales or minima of the 16 rows of a tile; `rows`, of rowNumbers, is used where scales have two levels. */
static inline F32x16 groupNumbers(bool twoLevel, const uint8_t* header, int which, F32x16 rows) {
  const uint8_t* at = header + which * scaleBytes(twoLevel);
  if (twoLevel) return mul(fromI8(reinterpret_cast<const int8_t*>(at)), rows);
  return fromF16(reinterpret_cast<const uint16_t*>(at));
}

/** A group's factors and offsets of the 16 rows of a tile. */
struct GroupScales {
  F32x16 factor, offset;
};

static inline GroupScales groupScales(const PackedMatrix& w, int32_t tile, int32_t group) {
  const uint8_t* header = groupAt(w, tile, group);
  const F32x16 none = broadcast(0);
  const F32x16 factor = groupNumbers(w.twoLevel, header, 0, w.twoLevel ? rowNumbers(w, tile, 0) : none);
  if (w.asymmetric) return {factor, groupNumbers(w.twoLevel, header, 1, w.twoLevel ? rowNumbers(w, tile, 1) : none)};
  const int middle = w.table ? 128 : 1 << (bitsOf(w.kind) - 1);
  return {factor, mul(factor, broadcast(-static_cast<float>(middle)))};
}

template <int kBits, bool kTable>
static inline void expandLevels(const uint8_t* levels, GroupScales scales, float* panel) {
  for (int quad = 0; quad < 8; quad++, panel += 4 * kTileRows) {
    const U32x16 codes = levelCodes<kBits, kTable>(levels, quad);
    store(panel, fma(toFloats(bitAnd(codes, 255)), scales.factor, scales.offset));
    store(panel + 16, fma(toFloats(bitAnd(shiftRight(codes, 8), 255)), scales.factor, scales.offset));
    store(panel + 32, fma(toFloats(bitAnd(shiftRight(codes, 16), 255)), scales.factor, scales.offset));
    store(panel + 48, fma(toFloats(shiftRight(codes, 24)), scales.factor, scales.offset));
  }
}

template <int kBits>
static inline void expandCodes(bool table, const uint8_t* levels, GroupScales scales, float* panel) {
  if (table) return expandLevels<kBits, true>(levels, scales, panel);
  expandLevels<kBits, false>(levels, scales, panel);
}

/** Kept out of the other kinds' way: its room is large. */
static __attribute__((noinline)) void expandSparse(const PackedMatrix& w, const uint8_t* levels, int32_t chunk,
                                                   GroupScales scales, float* panel) {
  SparseRoom<1> room;
  expandLevels<8, false>(placeCodes(w, levels, chunk, &room), scales, panel);
}

static void expandIntegers(const PackedMatrix& w, int32_t tile, int32_t chunk, float* panel) {
  const uint8_t* levels = levelsAt(w, tile, chunk);
  const GroupScales scales = groupScales(w, tile, chunk / w.chunksPerGroup);
  if (w.sections > 0) return expandSparse(w, levels, chunk, scales, panel);
  switch (w.kind) {
    case CodecKind::Q2: return expandCodes<2>(w.table, levels, scales, panel);
    case CodecKind::Q3: return expandCodes<3>(w.table, levels, scales, panel);
    case CodecKind::Q4: return expandCodes<4>(w.table, levels, scales, panel);
    case CodecKind::Q5: return expandCodes<5>(w.table, levels, scales, panel);
    case CodecKind::Q6: return expandLevels<6, false>(levels, scales, panel);
    default: return expandLevels<8, false>(levels, scales, panel);
  }
}

/** The first `cols` columns of the chunk, as they are or widened. */
static void expandFloats(const PackedMatrix& w, int32_t tile, int32_t chunk, int cols, float* panel) {
  const uint8_t* bytes = w.data + tile * w.tileStride;
  const int64_t first = static_cast<int64_t>(chunk) * kChunkCols * kTileRows;
  const float* floats = reinterpret_cast<const float*>(bytes) + first;
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(bytes) + first;
  if (w.kind == CodecKind::F32) {
    for (int c = 0; c < cols; c++) store(panel + c * kTileRows, load(floats + c * kTileRows));
  } else if (w.kind == CodecKind::F16) {
    for (int c = 0; c < cols; c++) store(panel + c * kTileRows, fromF16(halves + c * kTileRows));
  } else {
    for (int c = 0; c < cols; c++) store(panel + c * kTileRows, fromBf16(halves + c * kTileRows));
  }
}

/** One chunk of any kind in f32: panel [32 columns][16 rows]; columns beyond the matrix are 0. */
static void expandChunk(const PackedMatrix& w, int32_t tile, int32_t chunk, float* panel) {
  const int32_t left = w.cols - chunk * kChunkCols;
  const int cols = left < kChunkCols ? left : kChunkCols;
  if (isInteger(w.kind)) {
    expandIntegers(w, tile, chunk, panel);
  } else {
    expandFloats(w, tile, chunk, cols, panel);
  }
  for (int c = cols; c < kChunkCols; c++) store(panel + c * kTileRows, broadcast(0));
}

static void unpackRow(const PackedMatrix& w, int32_t row, float* out) {
  alignas(64) float panel[kChunkCols * kTileRows];
  const int32_t lane = row % kTileRows;
  for (int32_t chunk = 0, col = 0; col < w.cols; chunk++) {
    expandChunk(w, row / kTileRows, chunk, panel);
    const int32_t end = w.cols - col < kChunkCols ? w.cols : col + kChunkCols;
    for (const float* value = panel + lane; col < end; col++, value += kTileRows) out[col] = *value;
  }
}
