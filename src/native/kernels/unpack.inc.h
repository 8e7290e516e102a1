// Packed levels to numbers. A value is fma(code, scale, offset), the offset being the minimum, or -scale * 2^(bits-1)
// where the codec is symmetric: exactly scale * code + offset rounded once, as src/codecs/integer-unpack.ts has it
// (also the sign of a zero). Included by kernels.inc.h inside the table's namespace.

/** Bits of a level's first plane; the rest are in a second one (docs/artifact-format.md, section 6). */
static constexpr int firstPlaneBits(int bits) { return bits == 8 ? 8 : bits >= 4 ? 4 : 2; }

/** `bits` ones in every byte of a word. */
static constexpr uint32_t byteMask(int bits) { return ((1u << bits) - 1u) * 0x01010101u; }

/** Codes of quad `quad` of the chunk whose planes begin at `levels`: word r has columns 4 * quad … + 3 of row r. */
template <int kBits>
static inline U32x16 quadCodes(const uint8_t* levels, int quad) {
  constexpr int first = firstPlaneBits(kBits), second = kBits - first;
  U32x16 codes = loadWords(levels + 64 * (quad % first));
  if (first < 8) codes = bitAnd(shiftRight(codes, quad / first * first), byteMask(first));
  if (second > 0) {
    // The second plane's field goes from bit `at` to bit `first`: one shift there, in the direction that it takes.
    constexpr int vectors = second > 0 ? second : 1;
    const int at = quad / vectors * second;
    const U32x16 plane = loadWords(levels + 64 * (first + quad % vectors));
    const U32x16 moved = at > first ? shiftRight(plane, at - first) : shiftLeft(plane, first - at);
    codes = bitOr(codes, bitAnd(moved, byteMask(second) << (first & 7)));
  }
  return codes;
}

/** A group's factors and offsets of the 16 rows of a tile. */
struct GroupScales {
  F32x16 factor, offset;
};

static inline GroupScales groupScales(const PackedMatrix& w, int32_t tile, int32_t group) {
  const uint16_t* halves = reinterpret_cast<const uint16_t*>(groupAt(w, tile, group));
  const F32x16 factor = fromF16(halves);
  if (w.asymmetric) return {factor, fromF16(halves + kTileRows)};
  return {factor, mul(factor, broadcast(-static_cast<float>(1 << (bitsOf(w.kind) - 1))))};
}

template <int kBits>
static inline void expandLevels(const uint8_t* levels, GroupScales scales, float* panel) {
  for (int quad = 0; quad < 8; quad++, panel += 4 * kTileRows) {
    const U32x16 codes = quadCodes<kBits>(levels, quad);
    store(panel, fma(toFloats(bitAnd(codes, 255)), scales.factor, scales.offset));
    store(panel + 16, fma(toFloats(bitAnd(shiftRight(codes, 8), 255)), scales.factor, scales.offset));
    store(panel + 32, fma(toFloats(bitAnd(shiftRight(codes, 16), 255)), scales.factor, scales.offset));
    store(panel + 48, fma(toFloats(shiftRight(codes, 24)), scales.factor, scales.offset));
  }
}

static void expandIntegers(const PackedMatrix& w, int32_t tile, int32_t chunk, float* panel) {
  const uint8_t* levels = levelsAt(w, tile, chunk);
  const GroupScales scales = groupScales(w, tile, chunk / w.chunksPerGroup);
  switch (w.kind) {
    case CodecKind::Q2: return expandLevels<2>(levels, scales, panel);
    case CodecKind::Q3: return expandLevels<3>(levels, scales, panel);
    case CodecKind::Q4: return expandLevels<4>(levels, scales, panel);
    case CodecKind::Q5: return expandLevels<5>(levels, scales, panel);
    case CodecKind::Q6: return expandLevels<6>(levels, scales, panel);
    default: return expandLevels<8>(levels, scales, panel);
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
