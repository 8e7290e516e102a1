// Packed levels to numbers. A value is fma(code, scale, offset), the offset being the minimum, or -scale * 2^(bits-1)
// where the codec is symmetric: exactly scale * code + offset rounded once, as src/codecs/integer-unpack.ts has it
// (also the sign of a zero). A table's level plus 128 is a code of the symmetric 8-bit codec, and is used as one.
// Included by device-kernels.inc.h inside the table's namespace.

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

/** The same of a table codec where kTable: levels plus 128. */
template <int kBits, bool kTable>
static inline U32x16 levelCodes(const uint8_t* levels, int quad) {
  const U32x16 codes = quadCodes<kBits>(levels, quad);
  if constexpr (!kTable) return codes;
  const int8_t* table = levelTable(kBits);
  return bitXor(kBits <= 4 ? lookUp16(codes, table) : lookUp32(codes, table), 0x80808080u);
}

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

static void expandIntegers(const PackedMatrix& w, int32_t tile, int32_t chunk, float* panel) {
  const uint8_t* levels = levelsAt(w, tile, chunk);
  const GroupScales scales = groupScales(w, tile, chunk / w.chunksPerGroup);
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
