// Levels of sparse matrices: a chunk's codes are put in their places, and are then read as those of 8 bits are
// (docs/artifact-format.md, section 6). Included by device-kernels.inc.h inside the table's namespace.

/** Codes of a chunk: 16 rows x 32 columns. */
static constexpr int kChunkCodes = 512;

/**
 * Chunks of a tile whose codes are out of their planes at a time: they are written some chunks before they are read,
 * since a load of bytes that two stores have just written waits for both.
 */
static constexpr int kStreamedChunks = 4;

/** Room for some chunks of a tile of a sparse matrix. */
template <int kChunks>
struct SparseRoom {
  /**
   * The codes that chunks store, then zeros: as many as a damaged mask could ask for, and what a whole register reads
   * beyond them.
   */
  alignas(64) uint8_t streams[kChunks][kChunkCodes + 64] = {};
  /** All codes of one chunk, as planes of 8 bits have them. */
  alignas(64) uint8_t codes[kChunkCodes];
};

/** The fields of kWidth bits of a section's plane, a byte each, one field after the other. */
template <int kWidth>
static inline void fieldsOf(const uint8_t* p, uint64_t* out) {
  constexpr int words = 2 * kWidth;
  constexpr uint64_t mask = 0x0101010101010101u * ((1u << kWidth) - 1u);
  uint64_t plane[words];
  memcpy(plane, p, sizeof plane);
  LAYERWISE_UNROLL
  for (int field = 0; field < 8 / kWidth; field++) {
    LAYERWISE_UNROLL
    for (int i = 0; i < words; i++) out[field * words + i] = plane[i] >> (field * kWidth) & mask;
  }
}

/** The 128 codes of a section, a byte each. */
template <int kBits>
static inline void sectionCodes(const uint8_t* p, uint8_t* out) {
  constexpr int words = kSectionCodes / 8, first = firstPlaneBits(kBits), second = kBits - first;
  uint64_t codes[words];
  fieldsOf<first>(p, codes);
  if constexpr (second > 0) {
    uint64_t high[words];
    fieldsOf<second>(p + 16 * first, high);
    for (int i = 0; i < words; i++) codes[i] |= high[i] << first;
  }
  memcpy(out, codes, sizeof codes);
}

/** The codes that the chunk whose mask begins at `p` stores, in `sections`. */
template <int kBits>
static inline void streamCodes(const uint8_t* p, int32_t sections, uint8_t* stream) {
  for (int32_t s = 0; s < sections; s++) {
    sectionCodes<kBits>(p + kMaskBytes + s * sectionBytes(kBits), stream + s * kSectionCodes);
  }
}

/** All codes of the chunk whose mask begins at `p`, with level 0's where it stores none. */
template <int kBits>
static inline void spreadCodes(const uint8_t* p, const uint8_t* stream, uint8_t* codes) {
  LAYERWISE_UNROLL
  for (int quad = 0; quad < 8; quad++) {
    uint64_t mask;
    memcpy(&mask, p + 8 * quad, sizeof mask);
    spreadBytes(stream, mask, 1 << (kBits - 1), codes + 64 * quad);
    stream += __builtin_popcountll(mask);
  }
}

/**
 * Codes of a tile's chunk, whose levels begin at `levels`, as planes of 8 bits in `room`; chunks are asked for from 0
 * on.
 */
template <int kBits, int kChunks>
static inline const uint8_t* placeCodes(const PackedMatrix& w, const uint8_t* levels, int32_t chunk,
                                        SparseRoom<kChunks>* room) {
  const int32_t end = chunk + kChunks < w.chunks ? chunk + kChunks : w.chunks;
  for (int32_t c = chunk == 0 ? 0 : chunk + kChunks - 1; c < end; c++) {
    streamCodes<kBits>(levels + (c - chunk) * w.groupStride, w.sections, room->streams[c % kChunks]);
  }
  spreadCodes<kBits>(levels, room->streams[chunk % kChunks], room->codes);
  return room->codes;
}

/** The same where the kind is found out when running. */
static inline const uint8_t* placeCodes(const PackedMatrix& w, const uint8_t* levels, int32_t chunk,
                                        SparseRoom<1>* room) {
  switch (w.kind) {
    case CodecKind::Q3: return placeCodes<3>(w, levels, chunk, room);
    case CodecKind::Q4: return placeCodes<4>(w, levels, chunk, room);
    default: return placeCodes<8>(w, levels, chunk, room);
  }
}
